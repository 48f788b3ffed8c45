"""What is put under fire, as the fight sees it."""

from collections.abc import Sequence
from typing import Protocol

from bench.chaos.evidence import Evidence
from bench.chaos.stream import Planned


class Side(Protocol):
    """Turnout or plain Celery; made with the stand into which it puts its parts."""

    name: str

    def start(self) -> None:
        """Returns once all parts are at work."""

    def submit(self, stream: Sequence[Planned], seconds: float) -> None:
        """Begin to submit, evenly over that time; returns at once."""

    def is_done(self) -> bool:
        """Whether all is submitted and has come to its end."""

    def end(self) -> Evidence:
        """Stop asking, and tell what was found."""
