"""Columns a and f: the libraries by themselves, each in a process of its own."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.inference_parts.measured import Measured, Plan
from bench.queue_parts.ground import PYTHON, ROOT

COLUMNS = ("a", "f")
_PATIENCE_SECONDS = 550


def measure_raw(onnx_model: Path, plan: Plan) -> Iterator[tuple[str, Measured]]:
    amounts = (str(plan.inputs), str(plan.words))
    if "a" in plan.only:
        yield "a", Measured(*_said("raw", *amounts))
    if "f" in plan.only:
        yield "f", Measured(*_said("raw_onnx", str(onnx_model), *amounts))


def own_millis(threads: int, words: int) -> float:
    """What transformers take for one text by itself."""
    return float(_said("raw", "own", str(threads), str(words)))


def _said(module: str, *arguments: str) -> Any:
    command = [*PYTHON, f"bench.inference_parts.{module}", *arguments]
    # What it tells people stays out of the report.
    done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_SECONDS, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{module} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
    return json.loads(done.stdout)
