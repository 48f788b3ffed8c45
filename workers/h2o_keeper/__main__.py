"""``python -P -m workers.h2o_keeper --home DIR --port P [--nodes 2] [--memory 2g] [--jvm-options "…"]``.

Writes ``DIR/h2o/cluster.json`` (mode 0600) while the cluster is healthy. SIGTERM stops the JVMs and exits with 0.
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

from workers.h2o_keeper.jvm import (
    DEFAULT_OPTIONS,
    HIGHEST_PORT,
    LOOPBACK,
    MOST_NODES,
    JvmSettings,
    KeeperError,
    default_memory,
)
from workers.h2o_keeper.keeper import Keeper
from workers.h2o_keeper.recycling import DEFAULT_OBJECTS


def main() -> int:
    arguments = _parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    # httpx logs every request at INFO, which would be one line per health check.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping = threading.Event()

    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda _signum, _frame: stopping.set())
    options = tuple(shlex.split(arguments.jvm_options))
    try:
        settings = JvmSettings(arguments.port, arguments.memory, options, arguments.host, arguments.nodes)
        Keeper(arguments.home.resolve(), settings, stopping, arguments.recycle_after).run()
    except KeeperError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -P -m workers.h2o_keeper", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="directory of this Turnout; files go to its h2o/")
    parser.add_argument("--port", type=_port, required=True, help="first port; each node uses two, one after the other")
    parser.add_argument(
        "--host",
        default=LOOPBACK,
        help="name by which workers reach this cluster; other than %(default)s, it listens on every address",
    )
    parser.add_argument(
        "--memory",
        type=_memory,
        default=os.environ.get("TURNOUT_H2O_MEMORY") or default_memory(),
        help="Java heap of all nodes together, such as 2g or 512m (default: TURNOUT_H2O_MEMORY, else a quarter of the "
        "memory)",
    )
    parser.add_argument(
        "--nodes",
        type=_nodes,
        default=os.environ.get("TURNOUT_H2O_NODES") or "1",
        help="JVMs that form the cluster (default: TURNOUT_H2O_NODES, else 1)",
    )
    parser.add_argument(
        "--recycle-after",
        type=_objects,
        default=os.environ.get("TURNOUT_H2O_RECYCLE_AFTER") or str(DEFAULT_OBJECTS),
        metavar="OBJECTS",
        help="replace a cluster with more left-over objects than this while nobody uses it; an AutoML of ten models "
        f"leaves 500; 0: whatever their number (default: TURNOUT_H2O_RECYCLE_AFTER, else {DEFAULT_OBJECTS})",
    )
    parser.add_argument(
        "--jvm-options",
        default=os.environ.get("TURNOUT_H2O_JVM_OPTIONS", DEFAULT_OPTIONS),
        help="further options of the JVM (default: TURNOUT_H2O_JVM_OPTIONS, else %(default)s)",
    )
    return parser.parse_args()


def _port(text: str) -> int:
    return _number(text, 1, HIGHEST_PORT - 1, "a port")


def _nodes(text: str) -> int:
    return _number(text, 1, MOST_NODES, "a number of nodes")


def _objects(text: str) -> int:
    return _number(text, 0, sys.maxsize, "a number of objects")


def _number(text: str, least: int, most: int, what: str) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} between {least} and {most}")
    return int(text)


def _memory(text: str) -> int:
    """In MB."""
    if re.fullmatch(r"[1-9][0-9]*[mMgG]", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 2g or 512m")
    return int(text[:-1]) << (10 if text[-1] in "gG" else 0)


if __name__ == "__main__":
    sys.exit(main())
