"""A model's outputs in a job's result: short ones written out, long ones as NPY files."""

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.contracts import JobContext
from tasks.tensors import TensorOutput
from workers.inference.tensors import Array

# A result has 256 KB at most.
MOST_INLINE_CHARACTERS = 128 << 10
# Shorter than any number that takes part in a list.
_LEAST_CHARACTERS = 2
NPY = "application/octet-stream"


def inline_or_kept(
    outputs: Mapping[str, Array], job: JobContext
) -> tuple[dict[str, TensorOutput], dict[str, list[str]]]:
    """Each output, and the artifacts that had to be made: the shortest are written out as long as there is room."""
    left = MOST_INLINE_CHARACTERS
    found: dict[str, TensorOutput] = {}
    kept: list[str] = []
    for index, (name, array) in sorted(enumerate(outputs.items()), key=lambda one: one[1][1].size):
        described: dict[str, Any] = {"dtype": _type_name(array), "shape": list(array.shape)}
        data = array.tolist() if array.size * _LEAST_CHARACTERS <= left else None
        length = left + 1 if data is None else len(json.dumps(data))
        if length <= left:
            left -= length
            found[name] = TensorOutput(**described, data=data)
        else:
            artifact = f"{index}_{re.sub('[^A-Za-z0-9._-]', '_', name)[:100]}.npy"
            job.save_artifact(artifact, _npy(array), NPY)
            kept.append(artifact)
            found[name] = TensorOutput(**described, artifact=artifact)
    return {name: found[name] for name in outputs}, {"outputs": kept} if kept else {}


def _npy(array: Array) -> bytes:
    content = io.BytesIO()
    np.save(content, array.astype(str) if array.dtype.kind == "O" else array, allow_pickle=False)
    return content.getvalue()


def _type_name(array: Array) -> str:
    return "string" if array.dtype.kind in "UO" else array.dtype.name
