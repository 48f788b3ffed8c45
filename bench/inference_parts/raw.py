"""Column a: transformers by itself in one process.

``python -m bench.inference_parts.raw COUNT WORDS`` prints inputs a second as JSON, with the batch size and number of
threads that were best on a part of the input. ``python -m bench.inference_parts.raw own THREADS WORDS`` prints how many
milliseconds one text takes by itself, the median. Tokenizing counts, loading does not.
"""

import json
import statistics
import sys
import time
from collections.abc import Sequence

import torch
from transformers import AutoModel, AutoTokenizer

from bench.inference_parts.best_setting import best_setting
from bench.inference_parts.texts import MODEL, MOST_TOKENS, alike, texts

_BATCH_SIZES = (8, 16, 32, 64)
_OWN = 200


class Encoder:
    """The model and its tokenizer, as whoever writes it by hand would use them."""

    def __init__(self) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(MODEL, local_files_only=True)
        self._network = AutoModel.from_pretrained(MODEL, local_files_only=True).eval()

    def tokenize(self, given: Sequence[str]) -> list[list[int]]:
        rows: list[list[int]] = self._tokenizer(list(given), truncation=True, max_length=MOST_TOKENS)["input_ids"]
        return rows

    def embed(self, rows: Sequence[list[int]]) -> list[list[float]]:
        """One vector a row, the mean of its tokens' ones."""
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        with torch.inference_mode():
            hidden = self._network(input_ids=ids, attention_mask=mask).last_hidden_state
            weights = mask.unsqueeze(-1).float()
            vectors: list[list[float]] = ((hidden * weights).sum(1) / weights.sum(1)).tolist()
        return vectors


def rate(count: int, words: int) -> tuple[float, str]:
    """Inputs a second, sorted by length, and how."""
    encoder = Encoder()

    def embed(given: Sequence[str], batch_size: int, threads: int) -> None:
        torch.set_num_threads(threads)
        rows = sorted(encoder.tokenize(given), key=len, reverse=True)
        for start in range(0, len(rows), batch_size):
            encoder.embed(rows[start : start + batch_size])

    return best_setting(texts(count, words), _BATCH_SIZES, embed)


def own_millis(threads: int, words: int) -> float:
    """Of one text of the mean length, by itself."""
    torch.set_num_threads(threads)
    encoder = Encoder()
    millis: list[float] = []
    for text in alike(_OWN, words):
        began = time.perf_counter()
        encoder.embed(encoder.tokenize([text]))
        millis.append(1000 * (time.perf_counter() - began))
    return statistics.median(millis[_OWN // 4 :])


if __name__ == "__main__":
    if sys.argv[1] == "own":
        print(json.dumps(own_millis(*map(int, sys.argv[2:]))))
    else:
        print(json.dumps(rate(*map(int, sys.argv[1:]))))
