"""``python -P -m workers.h2o_keeper --home DIR --port P [--memory 2g] [--jvm-options "…"]``.

Writes ``DIR/h2o/cluster.json`` (mode 0600) while the cluster is healthy. SIGTERM stops the JVM and exits with 0.
"""

import argparse
import logging
import os
import re
import shlex
import signal
import sys
import threading
from pathlib import Path

from workers.h2o_keeper.jvm import DEFAULT_OPTIONS, LOOPBACK, JvmSettings, KeeperError, default_memory
from workers.h2o_keeper.keeper import Keeper


def main() -> int:
    arguments = _parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    # httpx logs every request at INFO, which would be one line per health check.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping = threading.Event()

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda _signum, _frame: stopping.set())
    options = tuple(shlex.split(arguments.jvm_options))
    settings = JvmSettings(arguments.port, arguments.memory, options, arguments.host)
    try:
        Keeper(arguments.home.resolve(), settings, stopping).run()
    except KeeperError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -P -m workers.h2o_keeper", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="directory of this Turnout; files go to its h2o/")
    parser.add_argument("--port", type=_port, required=True, help="REST port; the next one is used too, on loopback")
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        help="name by which workers reach this cluster; other than %(default)s, it listens on every address",
    )
    parser.add_argument(
        "--memory",
        type=_memory,
        default=os.environ.get("TURNOUT_H2O_MEMORY") or default_memory(),
        help="Java heap, such as 2g or 512m (default: TURNOUT_H2O_MEMORY, else %(default)s, a quarter of the memory)",
    )
    parser.add_argument(
        "--jvm-options",
        default=os.environ.get("TURNOUT_H2O_JVM_OPTIONS", DEFAULT_OPTIONS),
        help="further options of the JVM (default: TURNOUT_H2O_JVM_OPTIONS, else %(default)s)",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65534:
        raise argparse.ArgumentTypeError(f"{port} is not a port between 1 and 65534")
    return port


def _memory(text: str) -> str:
    if re.fullmatch(r"[1-9][0-9]*[mMgG]", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 2g or 512m")
    return text


if __name__ == "__main__":
    sys.exit(main())
