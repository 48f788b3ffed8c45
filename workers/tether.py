"""Run a command that can't outlive the process that started it.

``python -P -m workers.tether PARENT_PID command args…``

On Linux the kernel kills the command as soon as the *thread* that started it ends, so start it from one that lives as
long as its process. Elsewhere the command is only run. Standard library only: this starts in about 20 ms.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie_to_parent(parent_pid: int) -> None:
    """Ask Linux to SIGKILL this process when its parent's starting thread ends; exit if that already happened."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # The parent may have died before prctl took effect; then no signal would ever come.
    if os.getppid() != parent_pid:
        sys.exit(f"Process {parent_pid} is gone; not starting what it asked for.")


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit("usage: python -P -m workers.tether PARENT_PID command [args…]")
    tie_to_parent(int(sys.argv[1]))
    command = sys.argv[2:]
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as exc:
        sys.exit(f"{command[0]} can't be started: {exc.strerror}.")


if __name__ == "__main__":
    main()
