"""The decorator that makes a function a kind of job."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tasks.contracts import Document, JobResult, JobSpec
from tasks.queues import Queue


@dataclass(frozen=True)
class Kind:
    """A declared kind: its name, where and how long it may run, and the function that does the work."""

    name: str
    spec: type[JobSpec]
    result: type[JobResult]
    run: Callable[..., JobResult]
    queues: tuple[Queue, ...]
    time_limit: timedelta
    stall_limit: timedelta | None
    max_attempts: int
    runtime: str | None
    clean_up: Callable[[Document, Any], None] | None
    portable_checkpoint: bool
    shared: bool
    fallback: bool
    doc: str

    @property
    def default_queue(self) -> Queue:
        return self.queues[0]


def kind(
    *,
    queues: tuple[Queue, ...],
    time_limit: timedelta,
    max_attempts: int,
    stall_limit: timedelta | None = None,
    clean_up: Callable[[Document, Any], None] | None = None,
    portable_checkpoint: bool = False,
    shared: bool = False,
    fallback: bool = False,
) -> Callable[[Callable[..., JobResult]], Kind]:
    """Declare ``run(spec, job[, runtime])`` as a kind, named by the ``kind`` field of its spec.

    The first of ``queues`` is the default. With ``fallback`` they are in the order of preference: a job that names no
    queue goes to the first that has a worker for it. ``time_limit`` bounds one attempt, ``stall_limit`` the time
    without any progress, log line or checkpoint. A third parameter of ``run`` is a runtime: its annotation must be a
    Protocol with ``runtime_name``, the module under ``workers.runtimes`` that makes it. ``clean_up(checkpoint,
    runtime)`` frees what an attempt left outside (say, in a cluster); it runs after the job's final state is committed,
    may run more than once, and is only called for jobs that saved a checkpoint. ``portable_checkpoint`` says that a
    checkpoint names nothing of its job's own, so that a retry, which is another job, goes on from it; without it a
    retry begins anew. Raises ``ValueError`` for both: what a checkpoint leads to is gone once it was freed.

    ``shared`` says that many jobs may run in one runner at once, each in a thread of its own; else a job has its runner
    to itself. Raises ``ValueError`` for a shared kind with a clean-up, for which a runner would have to be free.
    """
    if clean_up is not None and portable_checkpoint:
        raise ValueError("a kind that frees what its checkpoint names can't hand that checkpoint to another job")
    if clean_up is not None and shared:
        raise ValueError("a kind whose jobs share a runner can leave nothing to clean up")

    def declare(run: Callable[..., JobResult]) -> Kind:
        hints = typing.get_type_hints(run)
        parameters = list(inspect.signature(run).parameters)
        spec = hints[parameters[0]]
        runtime = hints[parameters[2]].runtime_name if len(parameters) > 2 else None
        return Kind(
            name=spec.model_fields["kind"].default,
            spec=spec,
            result=hints["return"],
            run=run,
            queues=queues,
            time_limit=time_limit,
            stall_limit=stall_limit,
            max_attempts=max_attempts,
            runtime=runtime,
            clean_up=clean_up,
            portable_checkpoint=portable_checkpoint,
            shared=shared,
            fallback=fallback,
            doc=inspect.getdoc(inspect.getmodule(run)) or "",
        )

    return declare
