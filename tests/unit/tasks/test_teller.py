import threading
from collections.abc import Sequence

from structlog.testing import capture_logs

from tasks.broker import BrokerUnavailable
from tasks.teller import Teller
from tests.waiting import until


class Gate:
    """Keeps what was sent; the first message only gets through once ``open`` is set."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.reached = threading.Event()
        self.refuses = False
        self.sent: list[list[str]] = []
        self.tries = 0

    def send(self, job_ids: Sequence[str]) -> None:
        self.reached.set()
        self.tries += 1
        assert self.open.wait(10)
        if self.refuses:
            raise BrokerUnavailable("refused")
        self.sent.append(list(job_ids))


def test_what_comes_meanwhile_goes_together_each_once_and_in_its_order() -> None:
    gate = Gate()
    teller = Teller(gate, "ends")
    teller.start()
    teller.tell(["a"])
    assert gate.reached.wait(10)
    teller.tell(["c", "b"])
    teller.tell(["b", "d"])
    gate.open.set()
    until(lambda: len(gate.sent) == 2)
    teller.close()
    assert gate.sent == [["a"], ["c", "b", "d"]]


def test_what_is_left_is_told_at_the_end() -> None:
    gate = Gate()
    gate.open.set()
    teller = Teller(gate, "ends")
    teller.tell(["a"])
    teller.start()
    teller.close()
    assert gate.sent == [["a"]]


def test_what_can_not_be_sent_is_dropped_and_said() -> None:
    gate = Gate()
    gate.refuses = True
    gate.open.set()
    teller = Teller(gate, "ends")
    with capture_logs() as logs:
        teller.start()
        teller.tell(["a", "b"])
        until(lambda: logs)
        teller.tell(["b"])
        until(lambda: gate.tries == 2)
    assert logs == [{"event": "not_told", "what": "ends", "why": "refused", "log_level": "warning"}]
    gate.refuses = False
    teller.tell(["c"])
    until(lambda: gate.sent)
    teller.close()
    assert gate.sent == [["c"]]
