"""What the runtimes of one runner share: where models come from, which are loaded, and the device."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from pydantic import JsonValue

from workers.inference.batcher import Batcher, Limits
from workers.inference.model_cache import Held, ModelCache
from workers.inference.model_source import ModelSources

_LOOK_FOR_IDLE_SECONDS = 10.0
# Up to so many tokens a batch takes no longer for its padding. On a GPU a small batch takes what launching its kernels
# takes; on a processor each token costs, and few at a time fill it.
_LIMITS = {
    "cuda": Limits(token_budget=16_384, most_items=512, free_tokens=2048),
    "cpu": Limits(token_budget=1024, most_items=32, free_tokens=64),
}


class Workbench:
    """One for each runner, whose process it shares with all its runtimes. ``device`` is ``cpu`` or ``cuda``."""

    def __init__(self, settings: Mapping[str, JsonValue], on_models: Callable[[Sequence[Held]], None]) -> None:
        """``settings`` are ``WorkerSettings.inference_settings``; ``on_models`` gets what is loaded when it changes."""
        self.device = str(settings["device"])
        self.threads = int(str(settings["threads"]))
        self.sources = ModelSources(settings)
        idle = timedelta(seconds=float(str(settings["idle_seconds"])))
        self.cache = ModelCache(int(str(settings["model_bytes"])), idle, on_change=on_models)
        self.batcher = Batcher(_LIMITS[self.device], wait_seconds=float(str(settings["batch_wait_seconds"])))

    def start(self) -> None:
        """Begin to compute, and to unload what nobody uses."""
        self.batcher.start()
        threading.Thread(target=self._unload_idle, name="unload-idle", daemon=True).start()

    def _unload_idle(self) -> None:
        while True:
            time.sleep(_LOOK_FOR_IDLE_SECONDS)
            self.cache.unload_idle()
