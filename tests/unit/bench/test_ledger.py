"""The ledger holds what was appended, line by line, also while it grows."""

import os
from pathlib import Path

import pytest

from bench.chaos.ledger import Ledger, append, noted


def test_a_run_has_a_beginning_and_an_end(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    append(ledger.path, "accepted", "e1", "job-1", 12.5)
    with noted(str(ledger.path), "e1", "job-1", 3):
        ledger.read()
        assert ledger.busy_pids() == {os.getpid()}
    ledger.read()
    (run,) = ledger.runs.values()
    assert (run.entry, run.job_id, run.attempt, run.pid, run.parent_pid) == (
        "e1",
        "job-1",
        3,
        os.getpid(),
        os.getppid(),
    )
    assert run.ended_at is not None
    assert run.ended_at >= run.began_at
    assert ledger.accepted == {"job-1": ("e1", 12.5)}
    assert not ledger.busy_pids()


def test_a_run_that_breaks_has_no_end(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    with pytest.raises(RuntimeError), noted(str(ledger.path), "e1", "job-1", 1):
        raise RuntimeError
    ledger.read()
    assert [run.ended_at for run in ledger.runs.values()] == [None]
    assert not ledger.busy_pids()


def test_a_line_that_is_not_whole_yet_is_read_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    with ledger.path.open("a") as file:
        file.write("accepted e1 job-1 1.0\naccepted e2 jo")
        file.flush()
        ledger.read()
        assert list(ledger.accepted) == ["job-1"]
        file.write("b-2 2.0\n")
    ledger.read()
    assert list(ledger.accepted) == ["job-1", "job-2"]


def test_the_same_job_twice_in_one_process_is_two_runs(tmp_path: Path) -> None:
    """As plain Celery's are, which have no attempts."""
    ledger = Ledger(tmp_path / "ledger")
    for _ in range(2):
        with noted(str(ledger.path), "e1", "job-1", 0):
            pass
    ledger.read()
    assert len(ledger.runs) == 2
