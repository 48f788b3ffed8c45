"""How the jobs of a stream have to come out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fate:
    """How a job comes out that nobody cancels. ``may_fail_by`` are the reasons for which it may fail; by default it may
    lose what it runs on at the cap, and then has its attempts to show for it. With ``must_fail`` it may not succeed.
    ``ruin`` says, in the table's words, what ends the process of each of its runs, and so the runs beside it."""

    may_fail_by: frozenset[str] = frozenset({"worker_lost"})
    must_fail: bool = False
    ruin: str | None = None


USUAL = Fate()
EATER = Fate(frozenset({"worker_lost", "out_of_memory"}), must_fail=True, ruin="job that eats memory")
