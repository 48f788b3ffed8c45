"""Every tiny model by its name, made once in a directory."""

from collections.abc import Callable
from pathlib import Path

from tests.models import encoders, hearers, seers, writers

MAKERS: dict[str, Callable[[Path], None]] = {
    "answerer": encoders.answerer,
    "continuer": writers.continuer,
    "embedder": encoders.embedder,
    "entities": encoders.entities,
    "inference": encoders.inference,
    "listener": hearers.listener,
    "looker": seers.looker,
    "masked": encoders.masked,
    "mood": encoders.mood,
    "multilingual": writers.multilingual,
    "prefixed": writers.prefixed,
    "rating": encoders.rating,
    "speller": hearers.speller,
    "summarizer": writers.summarizer,
    "topics": encoders.topics,
    "transcriber": hearers.transcriber,
}


class Shelf:
    """Models in a directory of their own each; one is made when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def model(self, name: str) -> Path:
        directory = self.root / name
        if not (directory / "model.safetensors").exists():
            directory.mkdir(parents=True, exist_ok=True)
            MAKERS[name](directory)
        return directory
