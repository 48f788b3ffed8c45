"""A MOJO that is loaded, and how it scores one row."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jpype

from tasks.errors import InvalidInput, JobError, JobOutOfMemory
from tasks.h2o.algorithms import UNSCORED
from workers.runtimes.h2o_mojo.archive import look_into
from workers.runtimes.h2o_mojo.java import java_class

CLASSIFIERS = frozenset({"Binomial", "Multinomial", "Ordinal"})
_CATEGORIES = CLASSIFIERS | {"Regression", "Clustering", "AnomalyDetection"}


@dataclass(frozen=True)
class Scored:
    """``answer`` is the number of a class or cluster, or the predicted number; ``probabilities`` are by class."""

    answer: float
    probabilities: tuple[float, ...]
    contributions: tuple[float, ...]


class MojoModel:
    """``domains`` has the known levels of each feature, None for one that is no category."""

    def __init__(self, path: Path) -> None:
        """Load the file. Raises ``InvalidInput`` for what this version of H2O's library can't score."""
        archive = look_into(path)
        if archive.algo == "gam":
            raise InvalidInput(f"This model can't be scored here: {UNSCORED['GAM']}.")
        self.size_bytes = archive.size_bytes
        self.algo = archive.algo
        with _java("loading the model"):
            model = java_class("hex.genmodel.MojoModel").load(str(path))
            self.category = str(model.getModelCategory().toString())
            if self.category not in _CATEGORIES:
                raise InvalidInput(
                    f"Models of the category {self.category} can't be scored; use {sorted(_CATEGORIES)}."
                )
            if model.requiresOffset():
                raise InvalidInput("The model needs an offset for each row, which can't be given; train one without.")
            count = int(model.nfeatures())
            names = [str(name) for name in model.getNames()]
            self.features = tuple(names[:count])
            self.domains = tuple(_domain(model.getDomainValues(index)) for index in range(count))
            supervised = bool(model.isSupervised())
            self.target = str(model.getResponseName()) if supervised else None
            is_classifier = self.category in CLASSIFIERS
            self.classes = (_domain(model.getDomainValues(model.getResponseIdx())) or ()) if is_classifier else ()
            self._answer = jpype.JArray(jpype.JDouble)(int(model.getPredsSize(model.getModelCategory())))
        self._model = model
        self._explainer: Any = None

    def explain(self) -> Sequence[str]:
        """Have contributions computed from now on; their names, the last one the bias. Raises ``InvalidInput`` for a
        model without."""
        factory = java_class("hex.genmodel.PredictContributionsFactory")
        if not isinstance(self._model, factory) or self.category not in ("Binomial", "Regression"):
            raise InvalidInput(
                f"A model of {self.algo} for {self.category} has no contributions; use a GBM, DRF or XGBoost model for "
                "two classes or numbers, or leave contributions out."
            )
        with _java("preparing contributions"):
            self._explainer = self._model.makeContributionsPredictor()
            return [str(name) for name in self._explainer.getContributionNames()]

    def score(self, row: Sequence[float], *, explained: bool) -> Scored:
        """Values by feature: numbers, the position of a level in its domain, NaN for missing ones."""
        values = jpype.JArray(jpype.JDouble)(row)
        found = self._model.score0(values, self._answer)
        contributions = tuple(map(float, self._explainer.calculateContributions(values))) if explained else ()
        return Scored(float(found[0]), tuple(map(float, found[1 : 1 + len(self.classes)])), contributions)

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Translate what Java raises inside the block."""
        with _java("scoring"):
            yield


def _domain(values: Any) -> tuple[str, ...] | None:
    return None if values is None else tuple(str(value) for value in values)


@contextmanager
def _java(doing: str) -> Iterator[None]:
    try:
        yield
    except JobError:
        raise
    except jpype.JException as exc:
        kind = str(exc.getClass().getSimpleName())
        if kind == "OutOfMemoryError":
            raise JobOutOfMemory(f"The model needs more memory than this worker gives Java at {doing}.") from exc
        raise InvalidInput(f"H2O's library failed at {doing}, with {kind}: the model is damaged or too new.") from exc
