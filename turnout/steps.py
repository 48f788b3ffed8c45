"""What has to be done to talk to the server, apart from how: a plan is a generator that asks for steps.

Every call of the API is written once, as a plan. A driver walks it: the one of ``Client`` blocks, the one of
``AsyncClient`` awaits. A plan does no input or output of its own but what takes no time, such as opening a file.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One HTTP request. ``read_seconds``: the longest silence of the server; None waits for ever."""

    method: str
    path: str
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    # The name, the content and the media type of a file to send as multipart/form-data.
    file: tuple[str, IO[bytes], str] | None = None
    read_seconds: float | None = 60.0


@dataclass(frozen=True)
class Answer:
    """``headers`` have lower-case names. ``body`` is empty where it is read bit by bit."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Send:
    """Ask, and read the whole ``Answer``. ``streamed``: only its head when it is a success, for ``Read`` to go on."""

    request: Request
    streamed: bool = False


@dataclass(frozen=True)
class Read:
    """The next bytes of what was streamed last; none at its end."""


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Work:
    """Something that may block, such as writing to a disk; its outcome is what it returns."""

    call: Callable[[], Any]


@dataclass(frozen=True)
class Give(Generic[T]):
    """Hand an item to whoever iterates."""

    item: T


Step = Send | Read | Pause | Work

# The outcome of a step is as the step says, which the type of a generator can't tell.
Plan = Generator[Step, Any, T]
Listing = Generator[Step | Give[T], Any, None]


class Walk(Generic[T]):
    """A plan on its way: ``step`` is what it asks for now, None once it has ended with ``result``."""

    step: Step | Give[T] | None
    result: Any

    def __init__(self, plan: Generator[Step | Give[T], Any, Any]) -> None:
        self._plan = plan
        self.result = None
        self.go_on(None)

    def go_on(self, outcome: Any) -> None:
        try:
            self.step = self._plan.send(outcome)
        except StopIteration as end:
            self.step, self.result = None, end.value

    def fail(self, exc: BaseException) -> None:
        """Let the plan decide what an error means; most come back."""
        try:
            self.step = self._plan.throw(exc)
        except StopIteration as end:
            self.step, self.result = None, end.value

    def close(self) -> None:
        self._plan.close()
