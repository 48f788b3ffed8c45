from tasks.kind import Kind
from tasks.registry import load_kinds
from workers.pace import MOST_TOGETHER, Pace, as_many_as_fit


def kinds() -> dict[str, Kind]:
    return dict(load_kinds([]))


def test_a_kind_is_short_while_its_jobs_are() -> None:
    pace = Pace(kinds())
    assert pace.short() == {}
    pace.note("check_worker", 0.001)
    assert pace.short() == {"check_worker": 0.001}
    pace.note("check_worker", 1.0)
    assert pace.short() == {}
    for _ in range(30):
        pace.note("check_worker", 0.001)
    assert pace.short()["check_worker"] < 0.01


def test_a_kind_that_leaves_something_is_never_short() -> None:
    pace = Pace(kinds())
    pace.note("train_automl", 0.001)
    assert pace.short() == {}


def test_as_many_as_are_done_in_a_tenth_of_a_second() -> None:
    assert as_many_as_fit([]) == 0
    assert as_many_as_fit([5.0, 0.001]) == 1
    assert as_many_as_fit([0.03] * 10) == 3
    assert as_many_as_fit([0.0001] * 1000) == MOST_TOGETHER
