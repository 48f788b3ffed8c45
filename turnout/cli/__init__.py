"""``turnout`` in a terminal."""

import os
import signal
import sys

# Of ``endings.Exit``, which may not be loaded yet.
_INTERRUPTED = 130


def main() -> None:
    """The console script. Ctrl-C ends it without a traceback from the first line to the last."""
    heeds_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heeds_ctrl_c:
        # An exception in the midst of an import may come out as another one.
        signal.signal(signal.SIGINT, _leave)
    # Only here: loading it takes most of the time of a short command.
    from turnout.cli.app import main as run

    if heeds_ctrl_c:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        # Who presses Ctrl-C twice meets the interpreter as it ends. A command that took the signal over keeps it:
        # `up` ignores further ones, and this handler would give way to the system's, which kills, in the very end.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _leave)


def _leave(_signal: int, _frame: object) -> None:
    os._exit(_INTERRUPTED)
