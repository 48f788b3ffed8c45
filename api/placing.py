"""Which queue a job goes to that names none."""

import time
from collections.abc import Set

from db.engine import Database
from db.workers import kinds_taken
from tasks.kind import Kind

# Workers come and go seldom, and the workers themselves move what was placed by an old look.
_LOOK_EVERY_SECONDS = 1.0


class Placing:
    """Remembers for a moment which kinds the live workers take. Two threads that look at once do no harm."""

    def __init__(self) -> None:
        self._look_at = float("-inf")
        self._taken: Set[tuple[str, str]] = frozenset()

    def must_look(self, kind: Kind) -> bool:
        """Whether ``look`` has to be called before ``queue_for``."""
        return kind.fallback and time.monotonic() >= self._look_at

    def look(self, database: Database) -> None:
        """Raises ``OperationalError``."""
        with database.read() as session:
            self._taken = {(queue, kind) for queue, kinds in kinds_taken(session) for kind in kinds}
        self._look_at = time.monotonic() + _LOOK_EVERY_SECONDS

    def queue_for(self, kind: Kind) -> str:
        """Of a kind with a fallback the first queue that had a worker for it at the last look; else its default."""
        if not kind.fallback:
            return kind.default_queue.value
        return next((queue for queue in kind.queues if (queue, kind.name) in self._taken), kind.default_queue).value
