"""SIGINT, SIGTERM and SIGHUP as something to look at, so that none cuts the start or the end of a stack short."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS = 0.2


class ToldToEnd(KeyboardInterrupt):
    """A signal asked for the end; ``exit_code`` is the one that shells give for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class Signals:
    """Notes the first of the signals. Whoever waits looks here; a further one changes nothing."""

    def __init__(self) -> None:
        # Not a threading.Event: setting one in a handler can wait for ever for the lock of the wait it interrupted.
        self._number: int | None = None
        self._raises = False

    def catch(self) -> None:
        """From now on, and until the process ends. Call it in the main thread."""
        for number in _ENDING:
            # nohup means it.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)

    def check(self) -> None:
        """Raises ``ToldToEnd`` after a signal."""
        if self._number is not None:
            raise ToldToEnd(self._number)

    def wait(self) -> None:
        """Return after a signal."""
        while self._number is None:
            time.sleep(_LOOK_SECONDS)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """In here the first signal raises ``ToldToEnd`` wherever it comes: for work that looks at no signals."""
        self._raises = True
        try:
            self.check()
            yield
        finally:
            self._raises = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._number is not None:
            return
        self._number = number
        # Not left to this handler: an interpreter that ends takes its handlers back, and would be killed at the last.
        for further in _ENDING:
            signal.signal(further, signal.SIG_IGN)
        if self._raises:
            raise ToldToEnd(number)
