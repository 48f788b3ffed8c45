"""A grid, and a model of its own, in the cluster: what an AutoML's leaderboard and event log say of its models is put
together here from the models themselves."""

import re
import time
from datetime import UTC, datetime

from tasks.h2o.algorithms import ALGORITHMS
from workers.runtimes.h2o_automl.automl_view import table_rows
from workers.runtimes.h2o_automl.client import H2OClient, Json, path_part
from workers.runtimes.h2o_automl.failures import H2OError, plain_message
from workers.runtimes.h2o_automl.frames import TERMINAL, listed_jobs, remove_key
from workers.runtimes.h2o_automl.keys import RunKeys
from workers.runtimes.h2o_automl.model_entry import MeasuredModel, measured_model
from workers.runtimes.h2o_automl.pareto_front import HIGHER_IS_BETTER
from workers.runtimes.h2o_automl.run_state import Training
from workers.runtimes.h2o_automl.training_view import MEASURED_IN_TRAINING, Event, TrainingView

LEAST_PAUSE_SECONDS = 1.0
MOST_READING_SHARE = 0.1
# What a grid says of the model that a stop or a limit ended.
_ENDED = re.compile(r"job cancell?ed", re.IGNORECASE)


class _Trainable:
    """What a grid and a model have in common."""

    def __init__(self, client: H2OClient, keys: RunKeys, training: Training) -> None:
        self._client = client
        self._keys = keys
        self._training = training
        self._key = keys.trained(training.algo, training.what)

    @property
    def destination(self) -> str:
        return self._key

    def remove(self) -> set[str]:
        remove_key(self._client, self._key)
        # GAM and RuleFit leave the models that they are made of, under names of H2O's.
        for model in self._every_model():
            frame = (model.get("data_frame") or {}).get("name") or ""
            if self._keys.prefix in frame or self._keys.prefix in model["model_id"]["name"]:
                remove_key(self._client, model["model_id"]["name"])
        return set()

    def _every_model(self) -> list[Json]:
        """Those of all jobs, without what each of them ever said of itself."""
        brief = {"_exclude_fields": "models/output,models/parameters"}
        try:
            listed: list[Json] = self._client.get("/3/Models", params=brief)["models"]
        except H2OError as exc:
            # What no model has can't be left out, and where there is no model nothing has anything.
            if "_exclude_fields" not in exc.message:
                raise
            listed = self._client.get("/3/Models")["models"]
        return listed

    def _model(self, model_id: str) -> Json | None:
        try:
            found: Json = self._client.get(f"/3/Models/{path_part(model_id)}")["models"][0]
        except H2OError as exc:
            if exc.status != 404:
                raise
            return None
        return found

    def _measured(self, model: Json) -> MeasuredModel | None:
        return measured_model(model, self._training.sort_metric)

    def _builder(self) -> str:
        return ALGORITHMS[self._training.algo]  # type: ignore[index] # a checkpoint has plain text


class TrainableModel(_Trainable):
    """The ``Trainable`` of one model. H2O shows it, and what it can so far, while it grows."""

    def exists(self) -> bool:
        return self._model(self._key) is not None or bool(listed_jobs(self._client, self._key))

    def start(self, request: Json) -> str:
        answer = self._client.post(f"/3/ModelBuilders/{self._builder()}", {**request, "model_id": self._key})
        return str(answer["job"]["key"]["name"])

    def look(self, h2o_job: Json) -> TrainingView:
        model = self._model(self._key)
        measured = None if model is None else self._measured(model)
        ended = h2o_job["status"] in TERMINAL
        return TrainingView(
            sort_metric="" if measured is None else measured.sort_metric,
            entries=() if measured is None else (measured.entry,),
            events=(_trained(model, measured),) if ended and model is not None and measured is not None else (),
            now_training=None if ended else plain_message(h2o_job.get("progress_msg") or "").rstrip("."),
            measured=MEASURED_IN_TRAINING if measured is None else measured.measured,
            share=float(h2o_job["progress"]),
        )


class TrainableGrid(_Trainable):
    """The ``Trainable`` of a grid. Its answer is large, so it is asked for when its job got on, else now and then; and
    each model is read once."""

    def __init__(self, client: H2OClient, keys: RunKeys, training: Training) -> None:
        super().__init__(client, keys, training)
        self._seen: tuple[str, float] | None = None
        self._due = 0.0
        self._models: dict[str, MeasuredModel] = {}
        self._failures: list[str] = []
        # In the order in which they were first seen, so that they are only ever added to.
        self._events: list[Event] = []

    def exists(self) -> bool:
        return self._grid() is not None

    def start(self, request: Json) -> str:
        answer = self._client.post(f"/99/Grid/{self._builder()}", {**request, "grid_id": self._key})
        return str(answer["job"]["key"]["name"])

    def look(self, h2o_job: Json) -> TrainingView | None:
        state = (h2o_job["status"], float(h2o_job["progress"]))
        began = time.monotonic()
        if state != self._seen or began > self._due:
            grid = self._grid()
            if grid is None:
                return None
            self._read(grid)
            now = time.monotonic()
            self._seen, self._due = state, now + max(LEAST_PAUSE_SECONDS, (now - began) / MOST_READING_SHARE)
        ranked = sorted(self._models.values(), key=_place)
        first = ranked[0] if ranked else None
        ended = h2o_job["status"] in TERMINAL
        return TrainingView(
            sort_metric="" if first is None else first.sort_metric,
            entries=tuple(measured.entry for measured in ranked),
            events=tuple(self._events),
            now_training=None if ended else plain_message(h2o_job.get("progress_msg") or "").rstrip("."),
            complaint=self._failures[-1] if self._failures else None,
            measured=MEASURED_IN_TRAINING if first is None else first.measured,
        )

    def _grid(self) -> Json | None:
        try:
            return self._client.get(f"/99/Grids/{path_part(self._key)}")
        except H2OError as exc:
            if exc.status != 404:
                raise
            return None

    def _read(self, grid: Json) -> None:
        settings = {row["model_ids"]: row for row in table_rows(grid["summary_table"])}
        for model_id in sorted((key["name"] for key in grid["model_ids"]), key=_number):
            if model_id not in self._models:
                model = self._model(model_id)
                measured = None if model is None else self._measured(model)
                if model is not None and measured is not None:
                    row = settings.get(model_id) or {}
                    varied = {name: row[name] for name in grid["hyper_names"] or () if name in row}
                    self._models[model_id] = measured
                    self._events.append(_trained(model, measured, varied))
        told = [plain_message(text) for text in grid["failure_details"] or ()]
        for text in [text for text in told if not _ENDED.search(text)][len(self._failures) :]:
            self._failures.append(text)
            self._events.append(Event("", "Warn", "ModelTraining", f"A model failed: {text}"))


def _number(model_id: str) -> int:
    """A grid counts its models."""
    return int(model_id.rsplit("_", 1)[-1])


def _place(measured: MeasuredModel) -> tuple[bool, float]:
    """What sorts better models first, and those without the metric last."""
    score = measured.entry.metrics.get(measured.sort_metric)
    if score is None:
        return True, 0.0
    return False, -score if measured.sort_metric in HIGHER_IS_BETTER else score


def _trained(model: Json, measured: MeasuredModel, varied: Json | None = None) -> Event:
    when = datetime.fromtimestamp((model.get("timestamp") or 0) / 1000, UTC)
    score = measured.entry.metrics.get(measured.sort_metric)
    how = ", ".join(f"{name} {value}" for name, value in (varied or {}).items())
    message = f"Trained {measured.entry.model_id}" + (f" with {how}" if how else "")
    if score is not None:
        message += f": {measured.sort_metric} {score:.6g}"
    return Event(f"{when:%H:%M:%S}", "Info", "ModelTraining", message)
