"""What can be trained in the cluster: an AutoML, a grid, or one model. Watching, stopping and resuming are the same."""

from typing import Protocol

from workers.runtimes.h2o_automl.client import H2OClient, Json
from workers.runtimes.h2o_automl.run_state import RunState
from workers.runtimes.h2o_automl.trainable_automl import TrainableAutoML
from workers.runtimes.h2o_automl.trainable_models import TrainableGrid, TrainableModel
from workers.runtimes.h2o_automl.training_view import TrainingView


class Trainable(Protocol):
    """What one run trains, as the cluster has it."""

    @property
    def destination(self) -> str:
        """What the name of the thing that its H2O job makes begins with."""

    def exists(self) -> bool:
        """Whether the cluster knows it, be it running or done."""

    def start(self, request: Json) -> str:
        """Start it without waiting; answers the key of its H2O job."""

    def look(self, h2o_job: Json) -> TrainingView | None:
        """It as it is now, given its job; None if the cluster doesn't know it."""

    def remove(self) -> set[str]:
        """Remove it with its models. Answers what, beside the run's prefix, their predictions' names have in them."""


def trainable(client: H2OClient, state: RunState) -> Trainable:
    match state.training.what:
        case "AutoML":
            return TrainableAutoML(client, state.keys, state.target)
        case "grid":
            return TrainableGrid(client, state.keys, state.training)
        case "model":
            return TrainableModel(client, state.keys, state.training)
