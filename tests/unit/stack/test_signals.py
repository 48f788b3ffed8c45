import os
import signal
import threading
from collections.abc import Iterator

import pytest

from turnout.stack.signals import Signals, ToldToEnd

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = {number: signal.getsignal(number) for number in CAUGHT}
    # One that was started with `nohup` ignores it, which is respected.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    made = Signals()
    made.catch()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_noted_and_interrupts_nothing(signals: Signals, number: signal.Signals, code: int) -> None:
    signals.check()
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(ToldToEnd) as told:
        signals.check()
    assert told.value.exit_code == code


def test_waiting_ends_with_a_signal(signals: Signals) -> None:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    signals.wait()


def test_only_the_first_raises_and_only_where_it_may(signals: Signals) -> None:
    def ends_slowly() -> None:
        with signals.raising():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                ended.append(True)

    ended: list[bool] = []
    with pytest.raises(ToldToEnd):
        ends_slowly()
    os.kill(os.getpid(), signal.SIGINT)
    assert ended == [True]


def test_work_does_not_begin_after_a_signal(signals: Signals) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(ToldToEnd), signals.raising():
        pytest.fail("it began")


def test_nohup_is_respected() -> None:
    before = {number: signal.getsignal(number) for number in CAUGHT}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        Signals().catch()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
