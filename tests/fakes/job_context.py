"""A ``JobContext`` that keeps everything in memory and is as strict as the real one."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from tasks.contracts import Document, Input, Leaderboard, LogLevel, StopMode
from tasks.errors import StorageError

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
MOST_CHECKPOINT_BYTES = 64 * 1024


class LeaseLost(BaseException):
    """Stands for the end of the process: where a lease is lost the real context is killed, past every ``except``."""


class FakeJobContext:
    """Records what a job does. Clear ``lease_held`` to make the attempt one whose job was given away."""

    def __init__(
        self,
        directory: Path,
        inputs: Mapping[str, Path] | None = None,
        *,
        job_id: str = "0" * 32,
        attempt: int = 1,
        saved_checkpoint: Document | None = None,
    ) -> None:
        self._directory = directory
        self._inputs = dict(inputs or {})
        self._job_id = job_id
        self._attempt = attempt
        self._saved = saved_checkpoint
        self._changed = threading.Event()
        self._requested: StopMode | None = None
        self._hand_back = False
        self.lease_held = True
        self.guarded = 0
        self.reports: list[tuple[float | None, str, float | None]] = []
        self.lines: list[tuple[LogLevel, str]] = []
        self.outputs: list[tuple[int, str]] = []
        self.boards: list[Leaderboard] = []
        self.figures: dict[str, float] = {}
        self.checkpoints: list[Document] = []
        self.artifacts: dict[str, tuple[Path, str]] = {}
        self.earlier_artifacts: dict[str, Path] = {}
        self.on_checkpoint: Callable[[Document], None] | None = None
        self.on_leaderboard: Callable[[Leaderboard], None] | None = None

    @property
    def job_id(self) -> str:
        return self._job_id

    @property
    def attempt(self) -> int:
        return self._attempt

    @property
    def saved_checkpoint(self) -> Document | None:
        return self._saved

    @property
    def scratch(self) -> Path:
        scratch = self._directory / f"scratch_{self._attempt}"
        scratch.mkdir(parents=True, exist_ok=True)
        return scratch

    def input_path(self, source: Input) -> Path:
        name = next(getattr(source, field) for field in ("file", "artifact", "model") if hasattr(source, field))
        try:
            return self._inputs[str(name)]
        except KeyError:
            raise StorageError(f"There is no input {name!r}.") from None

    def progress(self, fraction: float | None, message: str, eta_seconds: float | None = None) -> None:
        self._require_lease()
        assert fraction is None or 0 <= fraction <= 1
        assert eta_seconds is None or eta_seconds >= 0
        self.reports.append((fraction, message, eta_seconds))

    def log(self, message: str, level: LogLevel = "info") -> None:
        self._require_lease()
        self.lines.append((level, message))

    def output(self, index: int, text: str) -> None:
        self._require_lease()
        assert index >= 0
        self.outputs.append((index, text))

    def leaderboard(self, board: Leaderboard) -> None:
        self._require_lease()
        self.boards.append(board)
        if self.on_leaderboard is not None:
            self.on_leaderboard(board)

    def checkpoint(self, document: Mapping[str, JsonValue]) -> None:
        self._require_lease()
        text = json.dumps(document, allow_nan=False)
        assert len(text.encode()) <= MOST_CHECKPOINT_BYTES
        self._saved = json.loads(text)
        assert self._saved is not None
        self.checkpoints.append(self._saved)
        if self.on_checkpoint is not None:
            self.on_checkpoint(self._saved)

    def save_artifact(self, name: str, content: Path | bytes, media_type: str) -> None:
        self._require_lease()
        assert _NAME.fullmatch(name), f"{name!r} is no artifact name"
        assert re.fullmatch(r"[a-z]+/[a-z0-9.+-]+(;.*)?", media_type), f"{media_type!r} is no media type"
        kept = self._directory / "artifacts" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            kept.write_bytes(content)
        else:
            shutil.copyfile(content, kept)
        self.artifacts[name] = (kept, media_type)

    def kept_artifact(self, name: str) -> Path | None:
        kept = self.artifacts.get(name)
        return self.earlier_artifacts.get(name) if kept is None else kept[0]

    def should_stop(self) -> StopMode | None:
        return self._requested

    def should_hand_back(self) -> bool:
        return self._hand_back

    def measured(self, name: str, value: float) -> None:
        json.dumps(value, allow_nan=False)
        self.figures[name] = value

    def wait(self, seconds: float) -> None:
        self._changed.wait(seconds)
        self._changed.clear()

    def guard(self) -> None:
        self.guarded += 1
        self._require_lease()

    def request(self, mode: StopMode) -> None:
        """Do what a user's cancel or stop does. May be called from another thread."""
        self._requested = mode
        self._changed.set()

    def request_hand_back(self) -> None:
        """Do what a worker does that is about to end. May be called from another thread."""
        self._hand_back = True
        self._changed.set()

    def artifact_json(self, name: str) -> Any:
        """The content of a saved JSON artifact."""
        return json.loads(self.artifacts[name][0].read_bytes())

    def _require_lease(self) -> None:
        if not self.lease_held:
            raise LeaseLost("This attempt's lease has ended.")
