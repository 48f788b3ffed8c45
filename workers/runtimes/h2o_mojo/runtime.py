"""Scores tables with MOJOs."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import ClassVar

from tasks.contracts import JobContext
from tasks.errors import InvalidInput, JobCancelled, JobStoppedEmpty
from tasks.scoring import Prediction, ScoringResult, TableScoring
from tasks.tables.encodings import as_utf8
from workers.runtimes.h2o_mojo import java
from workers.runtimes.h2o_mojo.cache import ModelCache
from workers.runtimes.h2o_mojo.encoding import Encoder
from workers.runtimes.h2o_mojo.model import MojoModel, Scored
from workers.runtimes.h2o_mojo.predictions import MEDIA_TYPES, PredictionFile
from workers.runtimes.h2o_mojo.tables import Part, read_file, read_rows

_ROWS_BETWEEN_LOOKS = 1000


class MojoRuntime:
    """The ``tasks.runtimes.TableScorer`` of one runner."""

    runtime_name: ClassVar[str] = "h2o_mojo"

    def __init__(self, heap: str) -> None:
        self._heap = heap
        self._models = ModelCache()

    def score(self, spec: TableScoring, job: JobContext) -> ScoringResult:
        java.start(self._heap)
        model, was_loaded = self._models.get(job.input_path(spec.model))
        contributions = model.explain() if spec.contributions else ()
        encoders = [Encoder(name, domain) for name, domain in zip(model.features, model.domains, strict=True)]
        parts = _parts(spec, job, model)
        run = _Run(job, model, encoders, explained=spec.contributions)
        artifacts: dict[str, list[str]] = {}
        predictions: list[Prediction] | None = None
        if spec.rows is not None:
            predictions = [_prediction(model, one, contributions) for part in run.score(parts) for one in part]
        else:
            name = f"predictions.{spec.format}"
            target = job.scratch / name
            with closing(PredictionFile(target, spec.format, model, contributions)) as file:
                for part in run.score(parts):
                    file.write(part)
            job.save_artifact(name, target, MEDIA_TYPES[spec.format])
            artifacts = {"predictions": [name]}
        if not run.rows:
            raise InvalidInput("The dataset has a header but no rows.")
        return ScoringResult(
            category=model.category,
            algo=model.algo,
            target=model.target,
            classes=list(model.classes),
            features=list(model.features),
            rows=run.rows,
            predictions=predictions,
            artifacts=artifacts,
            warnings=_warnings(model, encoders),
            model_was_loaded=was_loaded,
        )


class _Run:
    """Scores the parts of one table; ``rows`` counts them."""

    def __init__(self, job: JobContext, model: MojoModel, encoders: Sequence[Encoder], *, explained: bool) -> None:
        self._job = job
        self._model = model
        self._encoders = encoders
        self._explained = explained
        self.rows = 0

    def score(self, parts: Iterator[Part]) -> Iterator[list[Scored]]:
        for columns, share in parts:
            encoded = [
                encoder.encode(column, self.rows).tolist()
                for encoder, column in zip(self._encoders, columns, strict=True)
            ]
            scored: list[Scored] = []
            with self._model.scoring():
                for row in zip(*encoded, strict=True):
                    if len(scored) % _ROWS_BETWEEN_LOOKS == 0:
                        self._heed()
                    scored.append(self._model.score(row, explained=self._explained))
            self.rows += len(scored)
            self._job.progress(share, f"{self.rows} rows scored.")
            yield scored

    def _heed(self) -> None:
        match self._job.should_stop():
            case "cancel":
                raise JobCancelled("The job was cancelled.")
            case "stop":
                raise JobStoppedEmpty("The job was stopped; predictions of a part of the rows are not kept.")


def _parts(spec: TableScoring, job: JobContext, model: MojoModel) -> Iterator[Part]:
    if spec.rows is not None:
        return read_rows(spec.rows, model.features, model.target)
    if spec.dataset is None:
        raise InvalidInput("There are neither rows nor a dataset.")
    path = as_utf8(job.input_path(spec.dataset), "dataset", spec.encoding, job.scratch)
    return read_file(path, model.features)


def _prediction(model: MojoModel, scored: Scored, contributions: Sequence[str]) -> Prediction:
    classes = model.classes
    return Prediction(
        predict=classes[int(scored.answer)] if classes else scored.answer,
        probabilities=dict(zip(classes, scored.probabilities, strict=True)) if classes else None,
        contributions=dict(zip(contributions, scored.contributions, strict=True)) if contributions else None,
    )


def _warnings(model: MojoModel, encoders: Sequence[Encoder]) -> list[str]:
    found = []
    for name, encoder in zip(model.features, encoders, strict=True):
        if encoder.unknown is not None:
            found.append(
                f"Column {name!r} has {encoder.unknown.count} values that the model has never seen, such as "
                f"{encoder.unknown.first[:60]!r} in row {encoder.unknown.row}; they count as missing."
            )
        if encoder.has_times:
            found.append(f"The times in column {name!r} are taken for UTC.")
    return found
