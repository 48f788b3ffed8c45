"""What is seen of a training at one moment, whatever is trained."""

from dataclasses import dataclass

from tasks.contracts import LeaderboardEntry

MEASURED_IN_TRAINING = "measured in training (by cross-validation unless off)"


@dataclass(frozen=True)
class Event:
    """A line of the event log; H2O gives the time of day only, in the cluster's zone."""

    timestamp: str
    level: str
    stage: str
    message: str


@dataclass(frozen=True)
class TrainingView:
    """One look at a training. ``entries`` are best first; ``measured`` says on which rows.

    ``now_training`` is the model that was started last, or what H2O does with it. ``complaint`` explains best that
    there are no models. ``share`` is how far the one model is, 0 to 1, where there is no other.
    """

    sort_metric: str
    entries: tuple[LeaderboardEntry, ...]
    events: tuple[Event, ...]
    now_training: str | None = None
    complaint: str | None = None
    measured: str = MEASURED_IN_TRAINING
    share: float | None = None

    @property
    def base_models(self) -> int:
        """Models that count for ``max_models``: all but ensembles."""
        return sum(entry.algo != "StackedEnsemble" for entry in self.entries)
