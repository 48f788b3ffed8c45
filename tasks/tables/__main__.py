"""``python -P -m tasks.tables FILE``: prints what a file with a table shows, as JSON.

A process of its own for whoever must neither hold other people's data nor fail of it: it ends itself when it takes more
memory or time than any look should.
"""

import os
import resource
import sys
from pathlib import Path

_MOST_MEMORY_BYTES = 2 << 30
_MOST_CPU_SECONDS = 30


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)  # noqa: T201 - a command's usage
        return 2
    os.nice(10)
    # Not of addresses: allocators reserve many more than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_SECONDS, _MOST_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Arrow comes after the limits, which hold for its threads too.
    from tasks.tables.look import look_at

    print(look_at(Path(arguments[0])).model_dump_json())  # noqa: T201 - a command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
