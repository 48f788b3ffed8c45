"""``python -P -m workers.alive``: exits with 0 if a worker on this host gave a sign of life a moment ago.

For the health check of a container, which holds one worker and has a host name of its own.
"""

import socket
import sys

from db.engine import Database
from db.settings import DatabaseSettings
from db.workers import live_workers


def main() -> int:
    with Database(DatabaseSettings().url).read() as session:
        return 0 if any(worker.hostname == socket.gethostname() for worker in live_workers(session)) else 1


if __name__ == "__main__":
    sys.exit(main())
