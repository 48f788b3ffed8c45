"""What an explanation is about."""

import functools
from dataclasses import dataclass

from tasks.contracts import LeaderboardEntry
from tasks.tabular import TableTraining
from workers.runtimes.h2o_automl.leader_quality import Quality
from workers.runtimes.h2o_automl.test_frame import TestFrame

# Whose probabilities are shown.
MOST_CLASSES = 7


@dataclass(frozen=True)
class Subject:
    """``entries`` are the leaderboard's, the leader first; ``response`` is the target's name in the test frame. Without
    ``sort_metric`` there is no leaderboard of H2O's own, as there is of an AutoML."""

    spec: TableTraining
    problem: str
    features: tuple[str, ...]
    entries: tuple[LeaderboardEntry, ...]
    quality: Quality
    frame: TestFrame
    response: str
    sort_metric: str = ""

    @property
    def target(self) -> str:
        return self.spec.target or ""

    @property
    def leader(self) -> str:
        return self.entries[0].model_id

    @property
    def classes(self) -> tuple[str, ...]:
        """The target's; none for numbers."""
        return self.frame.columns[self.response].levels

    @property
    def usable_features(self) -> list[str]:
        """The features that a model may have learned from: H2O learns nothing from free text."""
        return [name for name in self.features if self.frame.columns[name].kind not in ("string", "uuid", "bad")]

    @property
    def answer(self) -> str:
        """What the models are asked for, in words."""
        target, label = self.target, self.shown_class
        return f"prediction of {target}" if label is None else f"probability of {target} = {label}"

    @functools.cached_property
    def explained_classes(self) -> list[str | None]:
        """The classes whose probabilities are asked for: the second of two; of more all, or the most frequent in their
        order; ``[None]`` for numbers."""
        if len(self.classes) <= 2:
            return [self.classes[-1] if self.classes else None]
        counts = dict(zip(self.classes, self._counts, strict=True))
        frequent = sorted(self.classes, key=lambda label: -counts[label])[:MOST_CLASSES]
        return [label for label in self.classes if label in frequent]

    @functools.cached_property
    def shown_class(self) -> str | None:
        """The class that stands for all where there is room for one: the second of two, else the most frequent."""
        if len(self.classes) <= 2:
            return self.explained_classes[0]
        return self.classes[self._counts.index(max(self._counts))]

    @functools.cached_property
    def _counts(self) -> list[int]:
        return self.frame.level_counts(self.response)
