"""What dies while the program starts is started again, and the program comes up."""

from pathlib import Path

from tests.acceptance.ledger import Ledger
from tests.acceptance.once import assert_succeeded_once
from tests.acceptance.program import TURNOUT, Program, wait_until_gone, whole_tree
from tests.acceptance.stand import KINDS
from tests.acceptance.victims import kill


def test_parts_killed_while_they_start(tmp_path: Path) -> None:
    program = Program(tmp_path, **KINDS)
    program.launch(TURNOUT, "up")
    program.wait_for_line("Starting the API")
    kill(program, "keeper", "redis", "api", "worker-h2o", "worker-cpu", "flower")
    ledger = Ledger(tmp_path / "ledger")
    with program.started() as client:
        for queue in ("cpu", "h2o"):
            job = client.submit("keep_ledger", {"ledger": str(ledger.path), "entry": queue}, queue=queue)
            assert len(assert_succeeded_once(job)) == 1
    processes = whole_tree(program.process)
    assert program.end() == 0
    wait_until_gone(processes)
