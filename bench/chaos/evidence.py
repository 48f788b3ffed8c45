"""What was found out about a stream, from four sides: the ledger, the witness, the database's own rows and what was
streamed to those who watched. All times are of the machine's monotonic clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.chaos.fates import Fate
from bench.chaos.ledger import Run
from bench.chaos.witness import Write

# The first numbers of each text's vector.
Vectors = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Harm:
    """A fault that was done, from its first moment to the last of its doing. ``pids`` are the processes that it hit;
    ``reason`` is what attempts that fail by it say, if they say anything; ``kills`` counts the SIGKILLs."""

    fault: str
    at: float
    until: float
    pids: frozenset[int] = frozenset()
    reason: str | None = None
    kills: int = 0

    def touches(self, since: float, until: float) -> bool:
        return self.at <= until and since <= self.until


@dataclass(frozen=True)
class Attempt:
    """A row of the attempts. ``ended_for`` is the other job for whose sake its runner was ended, if it was."""

    job_id: str
    attempt: int
    worker_pid: int
    claimed_at: float
    ended_at: float | None
    outcome: str
    reason: str | None
    ended_for: str | None = None


@dataclass(frozen=True)
class End:
    """What the database says of a job: ``result_of`` is the attempt and the process that its result names,
    ``peak_bytes`` the memory that it was seen to use, ``vectors`` what its result holds of them, and ``in_company``
    whether its inputs were computed together with other jobs' inputs."""

    entry: str
    state: str
    reason: str | None
    attempt: int
    result_of: tuple[int, int] | None
    peak_bytes: int | None = None
    vectors: Vectors | None = None
    in_company: bool = False


@dataclass(frozen=True)
class Final:
    """A job's end as somebody outside was told of it."""

    job_id: str
    seq: int
    attempt: int
    state: str


@dataclass(frozen=True)
class Cancelled:
    """An answered request to cancel, and when it was sent. ``granted``: the answer promised it."""

    job_id: str
    asked_at: float
    granted: bool = False


@dataclass(frozen=True)
class Evidence:
    """``accepted``: entry and moment of each job that was promised. ``stored_finals``: how many final events lie in the
    database, by job; ``told``: those that watchers were streamed. ``waiting``: jobs that did not come back in time
    though their queue still knows them. ``fates``: how jobs have to come out, by job, where that is not as most of them
    do; ``due_vectors``: those that the library by itself gives for a job's texts."""

    accepted: Mapping[str, tuple[str, float]]
    runs: Sequence[Run]
    writes: Sequence[Write]
    ends: Mapping[str, End]
    harms: Sequence[Harm]
    attempts: Sequence[Attempt] = ()
    stored_finals: Mapping[str, int] | None = None
    told: Mapping[str, Sequence[Final]] = field(default_factory=dict)
    webhooks: Mapping[str, Sequence[Final]] = field(default_factory=dict)
    cancelled: Sequence[Cancelled] = ()
    waiting: frozenset[str] = frozenset()
    fates: Mapping[str, Fate] = field(default_factory=dict)
    due_vectors: Mapping[str, Vectors] = field(default_factory=dict)
    wall_minus_monotonic: float = 0.0
    trouble: Sequence[str] = ()
