"""The library by itself in one process.

``python -m bench.inference_parts.raw COUNT`` prints inputs a second as JSON: the best of several batch sizes and
numbers of threads, with what was best. Tokenizing counts, loading does not.
"""

import json
import os
import sys
import time
from collections.abc import Sequence

import torch
from transformers import AutoModel, AutoTokenizer

from bench.inference_parts.texts import MODEL, texts

_BATCH_SIZES = (8, 16, 32, 64)


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL, local_files_only=True)
    network = AutoModel.from_pretrained(MODEL, local_files_only=True).eval()
    given = texts(int(sys.argv[1]))

    def embed(batch_size: int) -> None:
        rows = sorted(tokenizer(given, truncation=True, max_length=256)["input_ids"], key=len, reverse=True)
        for start in range(0, len(rows), batch_size):
            _compute(network, rows[start : start + batch_size])

    embed(32)
    best = (0.0, "")
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        torch.set_num_threads(threads)
        for batch_size in _BATCH_SIZES:
            began = time.perf_counter()
            embed(batch_size)
            rate = len(given) / (time.perf_counter() - began)
            best = max(best, (rate, f"batches of {batch_size}, {threads} threads"))
    print(json.dumps(best))


def _compute(network: torch.nn.Module, rows: Sequence[list[int]]) -> list[list[float]]:
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.inference_mode():
        hidden = network(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        vectors: list[list[float]] = ((hidden * weights).sum(1) / weights.sum(1)).tolist()
    return vectors


if __name__ == "__main__":
    main()
