"""The process in which ML code runs: ``python -P -m workers.runner``, started by a worker and gone with it.

It holds no database, broker or API secret, and speaks to its worker only. An attempt of a kind that is not shared has
it to itself, in the main thread; those of shared kinds run many at once, each in a thread of its own. Another thread
listens.
"""

import importlib
import os
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from tasks.contracts import JobContext
from tasks.errors import InvalidInput, JobError, MemoryShort, RetryableJobError, UpstreamError
from tasks.kind import Kind
from tasks.registry import kind_named, load_kinds
from workers.channel import Channel, ChannelClosed, Message, parsed
from workers.inference.errands import Errands
from workers.inference.model_cache import Held
from workers.inference.workbench import Workbench
from workers.memory import in_words
from workers.process_ties import (
    hold_slot_lock,
    limit_memory,
    make_scratch_empty,
    peak_memory_bytes,
    pin_to_cores,
    reset_peak_memory,
)
from workers.runner_context import RunnerContext
from workers.tether import tie_to_parent

_RESULT_LIMIT_BYTES = 256 << 10
_NO_FAILURE = {"code": "completed", "message": "", "retryable": False, "retry_after_seconds": None}


class Runner:
    """Takes orders from the channel and carries them out. Its worker sees to it that only jobs of shared kinds are
    there at the same time."""

    def __init__(self, channel: Channel, greeting: Message) -> None:
        self._channel = channel
        self._kinds = load_kinds(greeting["kinds"])
        self._runtime_settings: Mapping[str, Any] = greeting["runtimes"]
        self._memory = in_words(greeting["memory_bytes"])
        self._runtimes: dict[str, Any] = {}
        self._makings = Errands()
        self._orders: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._contexts: dict[tuple[str, int], RunnerContext] = {}
        self._workbench = Workbench(greeting["inference"], self._tell_models)
        self._workbench.start()
        self._sharing = ThreadPoolExecutor(max_workers=greeting["seats"], thread_name_prefix="attempt")
        for name in self._runtime_settings:
            # The first job is not to wait for it; if it can't be imported, the jobs that need it say so.
            with suppress(ImportError):
                importlib.import_module(f"workers.runtimes.{name}")

    def serve(self) -> None:
        """Work until the worker goes away."""
        threading.Thread(target=self._listen, name="listen", daemon=True).start()
        self._channel.send({"type": "ready", "pid": os.getpid()})
        while True:
            order = self._orders.get()
            if order["type"] == "clean_up":
                self._clean_up(order)
            elif self._is_shared(order):
                self._sharing.submit(self._run_or_end, order)
            else:
                reset_peak_memory()
                self._run(order)

    def _listen(self) -> None:
        try:
            while True:
                message = self._channel.receive()
                if message["type"] == "run":
                    # Made here, so that a stop that follows at once finds its context.
                    self._contexts[_attempt_of(message)] = RunnerContext(self._channel, message)
                if message["type"] in ("run", "clean_up"):
                    self._orders.put(message)
                elif (context := self._contexts.get(_attempt_of(message))) is not None:
                    context.hear(message)
        except ChannelClosed:
            # Nobody is left to report to, and ML code in the main thread would not notice an exception.
            os._exit(0)

    def _tell_models(self, held: Sequence[Held]) -> None:
        self._channel.send({"type": "models", "models": [{"name": one.name, "bytes": one.bytes} for one in held]})

    def _is_shared(self, order: Message) -> bool:
        kind = self._kinds.get(order["kind"])
        return kind is not None and kind.shared

    def _run_or_end(self, order: Message) -> None:
        """A thread that broke down would leave its job running for ever."""
        carried_out = False
        try:
            self._run(order)
            carried_out = True
        finally:
            if not carried_out:
                traceback.print_exc()
                os._exit(1)

    def _run(self, order: Message) -> None:
        context = self._contexts[_attempt_of(order)]
        metrics: dict[str, float] = {}
        ending = self._attempt(order, context, metrics)
        metrics |= context.figures
        if not self._is_shared(order):
            metrics["peak_memory_bytes"] = peak_memory_bytes()
        del self._contexts[_attempt_of(order)]
        self._channel.send(
            {"type": "finished", "job_id": context.job_id, "attempt": context.attempt, "metrics": metrics, **ending}
        )

    def _attempt(self, order: Message, context: RunnerContext, metrics: dict[str, float]) -> dict[str, Any]:
        try:
            kind = kind_named(self._kinds, order["kind"])
            spec = kind.spec.model_validate(order["spec"])
            started = time.monotonic()
            extra = self._shared_runtime_for(kind, context) if kind.shared else self._runtime_for(kind)
            metrics["load_seconds"] = round(time.monotonic() - started, 3)
            started = time.monotonic()
            result = kind.run(spec, context, *extra)
            took = time.monotonic() - started
            loading = context.figures.pop("load_seconds", 0.0)
            metrics["load_seconds"] = round(metrics["load_seconds"] + loading, 3)
            metrics["run_seconds"] = round(took - loading, 3)
            return {**_NO_FAILURE, "outcome": "succeeded", "result": _fitting(result, context)}
        except ValidationError as exc:
            return _failure(InvalidInput(f"The spec does not fit this version: {exc.error_count()} errors."))
        except JobError as exc:
            return _failure(exc)
        except MemoryError:
            traceback.print_exc()
            return _failure(MemoryShort(f"The job got no more memory; the limit of its runner is {self._memory}."))
        except Exception as exc:  # noqa: BLE001 - the one place where an attempt ends, whatever went wrong
            traceback.print_exc()
            return _failure(JobError(f"The job failed with {type(exc).__name__}; the worker's log has the details."))

    def _clean_up(self, order: Message) -> None:
        kind = kind_named(self._kinds, order["kind"])
        problem = None
        try:
            if kind.clean_up is not None:
                kind.clean_up(order["checkpoint"], *self._runtime_for(kind))
        except JobError as exc:
            problem = str(exc)
        except Exception as exc:  # noqa: BLE001 - as where an attempt ends: what went wrong is told, and tried again later
            traceback.print_exc()
            problem = f"The clean-up failed with {type(exc).__name__}."
        self._channel.send({"type": "cleaned", "job_id": order["job_id"], "problem": problem})

    def _runtime_for(self, kind: Kind) -> tuple[Any, ...]:
        """The runtime that the kind's ``run`` declares, loaded once a process; an empty tuple if it declares none."""
        if kind.runtime is None:
            return ()
        if kind.runtime not in self._runtimes:
            self._runtimes[kind.runtime] = self._made(kind.runtime, shared=False)
        return (self._runtimes[kind.runtime],)

    def _shared_runtime_for(self, kind: Kind, job: JobContext) -> tuple[Any, ...]:
        """As ``_runtime_for``, for jobs in many threads, each of which can end while its runtime is still loaded."""
        name = kind.runtime
        if name is None:
            return ()
        if name not in self._runtimes:
            self._makings.result(name, lambda: self._make_shared(name), job)
        return (self._runtimes[name],)

    def _make_shared(self, name: str) -> None:
        # Whoever saw it missing a moment ago may ask for it once it is there.
        if name not in self._runtimes:
            self._runtimes[name] = self._made(name, shared=True)

    def _made(self, runtime: str, *, shared: bool) -> Any:
        settings = self._runtime_settings.get(runtime, {})
        module = _imported(runtime)
        return module.create(settings, self._workbench) if shared else module.create(settings)


def _attempt_of(message: Message) -> tuple[str, int]:
    return message["job_id"], message.get("attempt", 0)


def _imported(runtime: str) -> ModuleType:
    try:
        return importlib.import_module(f"workers.runtimes.{runtime}")
    except ModuleNotFoundError as exc:
        # Another worker of the queue may have it.
        raise UpstreamError(f"This worker lacks the package {exc.name}, which jobs of this kind need.") from exc


def _fitting(result: BaseModel, context: RunnerContext) -> dict[str, Any]:
    """The result as JSON; one over 256 KB is kept as an artifact, and the result says so."""
    text = result.model_dump_json()
    if len(text) <= _RESULT_LIMIT_BYTES:
        # Through text, because only there does Pydantic turn NaN and infinity into null.
        fitting: dict[str, Any] = parsed(text)
        return fitting
    context.save_artifact("result.json", text.encode(), "application/json")
    return {"artifact": "result.json"}


def _failure(error: JobError) -> dict[str, Any]:
    wait = error.retry_after if isinstance(error, RetryableJobError) else None
    return {
        "outcome": "failed",
        "result": None,
        "code": error.code,
        "message": str(error),
        "retryable": error.retryable,
        "retry_after_seconds": None if wait is None else wait.total_seconds(),
    }


def main() -> None:
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    tie_to_parent(parent)
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        greeting = channel.receive()
        slot_lock = hold_slot_lock(Path(greeting["slot_lock"]))
        make_scratch_empty(Path(greeting["scratch"]))
        pin_to_cores(greeting["cores"])
        limit_memory(greeting["memory_bytes"])
        Runner(channel, greeting).serve()
    except ChannelClosed:
        slot_lock = None
    del slot_lock


if __name__ == "__main__":
    main()
