"""``python -P -m tasks.tables FILE``: prints what a file with a table shows, as JSON.

A process of its own for whoever must neither hold other people's data nor fail of it: it ends itself when it takes more
memory or time than any look should.
"""

import os
import resource
import sys
import threading
import time
from pathlib import Path

MOST_MEMORY_BYTES = 1 << 30
_MOST_CPU_SECONDS = 30
_BETWEEN_LOOKS_SECONDS = 0.05
_PEAK_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)  # noqa: T201 - a command's usage
        return 2
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_SECONDS, _MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_end_when_too_large, daemon=True).start()
    from tasks.tables.look import look_at

    print(look_at(Path(arguments[0])).model_dump_json())  # noqa: T201 - a command's answer
    return 0


def _end_when_too_large() -> None:
    """The kernel's own limits count what is reserved, which for a wide table is many times what Arrow uses."""
    while resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_UNIT_BYTES < MOST_MEMORY_BYTES:
        time.sleep(_BETWEEN_LOOKS_SECONDS)
    sys.stderr.write(f"more than {MOST_MEMORY_BYTES >> 20} MB of memory\n")
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
