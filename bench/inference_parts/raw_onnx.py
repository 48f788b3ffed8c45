"""Column f: ONNX Runtime by itself in one process.

``python -m bench.inference_parts.raw_onnx MODEL COUNT WORDS`` prints inputs a second as JSON, with the batch size and
number of threads that were best on a part of the input. Loading does not count.
"""

import functools
import json
import sys
from collections.abc import Sequence

import onnxruntime

from bench.inference_parts.best_setting import best_setting, thread_counts
from bench.inference_parts.onnx_model import tensors

_BATCH_SIZES = (8, 16, 32, 64, 128, 256)


def rate(model: str, count: int, words: int) -> tuple[float, str]:
    """Inputs a second, and how."""
    given = tensors(count, words)

    @functools.cache
    def session(threads: int) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def predict(rows: Sequence[int], batch_size: int, threads: int) -> None:
        for start in range(0, len(rows), batch_size):
            batch = slice(rows[start], rows[start] + min(batch_size, len(rows) - start))
            session(threads).run(None, {name: array[batch] for name, array in given.items()})

    for threads in thread_counts():
        session(threads)
    return best_setting(range(count), _BATCH_SIZES, predict)


if __name__ == "__main__":
    print(json.dumps(rate(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
