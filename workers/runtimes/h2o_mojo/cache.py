"""The models that were used last, by what they take."""

from collections import OrderedDict
from pathlib import Path

from workers.runtimes.h2o_mojo.model import MojoModel

# Java's objects take a few times what the file has unpacked.
MOST_BYTES = 256 << 20


class ModelCache:
    """Keeps models loaded up to so many bytes, unpacked; the one used last stays even if it is larger."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._models: OrderedDict[Path, MojoModel] = OrderedDict()

    def get(self, path: Path) -> tuple[MojoModel, bool]:
        """The model of a file, and whether it had to be loaded. A file in the store never changes."""
        known = self._models.get(path)
        if known is not None:
            self._models.move_to_end(path)
            return known, False
        model = MojoModel(path)
        self._models[path] = model
        while len(self._models) > 1 and sum(one.size_bytes for one in self._models.values()) > self._most_bytes:
            self._models.popitem(last=False)
        return model, True

    def __len__(self) -> int:
        return len(self._models)
