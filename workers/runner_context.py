"""The ``JobContext`` inside a runner: every call becomes a message to its worker."""

import itertools
import json
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import JsonValue

from tasks.contracts import ArtifactInput, Document, FileInput, Input, Leaderboard, LogLevel, ModelInput, StopMode
from tasks.errors import StorageError
from workers.channel import Channel, Message

_CHECKPOINT_LIMIT_BYTES = 64 << 10


class RunnerContext:
    """One attempt's context. The runner's reading thread feeds it with what the worker says."""

    def __init__(self, channel: Channel, order: Message) -> None:
        self._channel = channel
        self._order = order
        self._checkpoint: Document | None = order["checkpoint"]
        self._calls = itertools.count(1)
        self._answers: dict[int, Message] = {}
        self._changed = threading.Condition()
        self._stop_mode: StopMode | None = None
        self._hand_back = False
        self._hand_back_unheard = False
        self._lease_until: float = order["lease_until"]
        self.figures: dict[str, float] = {}

    @property
    def job_id(self) -> str:
        return str(self._order["job_id"])

    @property
    def attempt(self) -> int:
        return int(self._order["attempt"])

    @property
    def saved_checkpoint(self) -> Document | None:
        return self._checkpoint

    @property
    def scratch(self) -> Path:
        # Most jobs need none, and making one takes longer than the shortest of them.
        directory = Path(self._order["scratch"])
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def input_path(self, source: Input) -> Path:
        return Path(self._order["inputs"][input_key(source)])

    def progress(self, fraction: float | None, message: str, eta_seconds: float | None = None) -> None:
        share = None if fraction is None else min(max(fraction, 0.0), 1.0)
        self._tell("progress", fraction=share, message=message, eta_seconds=eta_seconds)

    def log(self, message: str, level: LogLevel = "info") -> None:
        self._tell("log", message=message, level=level)

    def output(self, index: int, text: str) -> None:
        self._tell("output", index=index, text=text)

    def leaderboard(self, board: Leaderboard) -> None:
        self._tell("leaderboard", board=board.model_dump())

    def checkpoint(self, document: Mapping[str, JsonValue]) -> None:
        kept = dict(document)
        if len(json.dumps(kept, allow_nan=False)) > _CHECKPOINT_LIMIT_BYTES:
            raise ValueError("a checkpoint may hold 64 KB; keep more as an artifact")
        self._ask("checkpoint", document=kept)
        self._checkpoint = kept

    def save_artifact(self, name: str, content: Path | bytes, media_type: str) -> None:
        outgoing = self.scratch / f".artifact-{next(self._calls)}"
        try:
            if isinstance(content, bytes):
                outgoing.write_bytes(content)
            else:
                shutil.copyfile(content, outgoing)
        except OSError as exc:
            raise StorageError(f"The artifact {name} could not be written: {exc.strerror}.") from exc
        self._ask("artifact", name=name, path=str(outgoing), media_type=media_type)

    def kept_artifact(self, name: str) -> Path | None:
        path = self._ask("kept_artifact", name=name)["path"]
        return None if path is None else Path(path)

    def should_stop(self) -> StopMode | None:
        return self._stop_mode

    def should_hand_back(self) -> bool:
        return self._hand_back

    def measured(self, name: str, value: float) -> None:
        self.figures[name] = value

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stop_mode is not None or self._hand_back_unheard, timeout=seconds)
            # Once is enough: a job that goes on until it is killed need not do so without pauses.
            self._hand_back_unheard = False

    def guard(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: time.monotonic() < self._lease_until)

    def hear(self, message: Message) -> None:
        """Take what the worker says: a stop, that it is about to end, a prolonged lease, or the answer to a call."""
        with self._changed:
            match message["type"]:
                case "hand_back":
                    self._hand_back = self._hand_back_unheard = True
                case "stop":
                    self._stop_mode = cast(StopMode, message["mode"])
                case "lease":
                    self._lease_until = message["until"]
                case "answer":
                    self._answers[message["call"]] = message
            self._changed.notify_all()

    def _tell(self, what: str, **fields: Any) -> None:
        """Raises ``TypeError`` and ``ValueError`` for what is no JSON: kinds say what they like."""
        json.dumps(fields, allow_nan=False)
        self._channel.send({"type": what, "job_id": self.job_id, "attempt": self.attempt, **fields})

    def _ask(self, what: str, **fields: Any) -> Message:
        """Tell, and wait for the worker's answer: what was to be kept is committed then."""
        call = next(self._calls)
        self._tell(what, call=call, **fields)
        with self._changed:
            self._changed.wait_for(lambda: call in self._answers)
            answer = self._answers.pop(call)
        if answer["problem"] is not None:
            raise StorageError(answer["problem"])
        return answer


def input_key(source: Input) -> str:
    """How an input is named in an order: the worker has put the data's place under it."""
    if isinstance(source, FileInput):
        return f"file:{source.file}"
    if isinstance(source, ArtifactInput):
        return f"artifact:{source.job}/{source.artifact}"
    if isinstance(source, ModelInput):
        return f"model:{source.model}/{source.version}"
    raise TypeError(type(source).__name__)
