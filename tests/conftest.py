"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and hands that on to every process that a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
