"""An AutoML in the cluster."""

from workers.runtimes.h2o_automl.automl_view import read_automl
from workers.runtimes.h2o_automl.client import H2OClient, Json, path_part
from workers.runtimes.h2o_automl.frames import remove_key
from workers.runtimes.h2o_automl.keys import AUTOML_TAG, RunKeys
from workers.runtimes.h2o_automl.training_view import TrainingView


class TrainableAutoML:
    """The ``Trainable`` of a run's AutoML. ``response`` is the target's name in the cluster."""

    def __init__(self, client: H2OClient, keys: RunKeys, response: str) -> None:
        self._client = client
        self._keys = keys
        self._response = response

    @property
    def destination(self) -> str:
        return self._keys.automl_prefix

    def exists(self) -> bool:
        return self._read() is not None

    def start(self, request: Json) -> str:
        return str(self._client.post_json("/99/AutoMLBuilder", request)["job"]["key"]["name"])

    def look(self, h2o_job: Json) -> TrainingView | None:  # noqa: ARG002 - an AutoML tells everything itself
        return self._read()

    def remove(self) -> set[str]:
        view = self._read()
        if view is None:
            return set()
        texts = [*(entry.model_id for entry in view.entries), *(event.message for event in view.events)]
        # The AutoML goes before the frames: its own clean-up reads them.
        remove_key(self._client, self._keys.automl(self._response))
        for suffix in ("leaderboard", "eventlog", "custom_leaderboard"):
            remove_key(self._client, f"{self._keys.project}_{suffix}")
        return {found for text in texts for found in AUTOML_TAG.findall(text)}

    def _read(self) -> TrainingView | None:
        return read_automl(self._client.get(f"/99/AutoML/{path_part(self._keys.project)}"))
