"""Ask the pipelines of transformers 4.57 and keep what they say beside this file.

They are gone from version 5, so this runs in an environment of its own, apart from the project's::

    python3 -m venv old && old/bin/pip install torch==2.13.0 transformers==4.57.6 pillow
    PYTHONPATH=. old/bin/python -P -m tests.golden.make
"""

import importlib.metadata
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import pipeline, set_seed

from tests.golden.cases import CASES, Case
from tests.models.senses import picture, sound
from tests.models.shelf import Shelf
from tests.models.weights import digest

_HERE = Path(__file__).parent


def main() -> None:
    if not transformers.__version__.startswith("4.57."):
        sys.exit(f"This needs transformers 4.57, and found {transformers.__version__}.")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    versions = {name: importlib.metadata.version(name) for name in ("transformers", "torch", "tokenizers")}
    with tempfile.TemporaryDirectory() as directory:
        shelf = Shelf(Path(directory))
        for kind, cases in CASES.items():
            models: dict[str, str] = {}
            answers = [_asked(case, shelf, models) for case in cases]
            (_HERE / f"{kind}.json").write_text(_document(versions, models, answers))
            sys.stderr.write(f"{kind}: {len(answers)}\n")


def _document(versions: dict[str, str], models: dict[str, str], answers: list[dict[str, Any]]) -> str:
    """JSON with a line for each case."""
    lines = ",\n".join(json.dumps(answer, ensure_ascii=False) for answer in answers)
    return f'{{"versions": {json.dumps(versions)},\n"models": {json.dumps(models)},\n"cases": [\n{lines}\n]}}\n'


def _asked(case: Case, shelf: Shelf, models: dict[str, str]) -> dict[str, Any]:
    directory = shelf.model(case.model)
    pipe: Any = pipeline(case.task, model=str(directory), device="cpu")
    models[case.model] = digest(directory)
    output = _drawn(pipe, case) if case.seed is not None else _answered(pipe, case)
    kept = {"task": case.task, "model": case.model, "inputs": case.inputs, "call": case.call}
    return kept | ({} if case.seed is None else {"seed": case.seed}) | {"output": _plain(output)}


def _answered(pipe: Any, case: Case) -> Any:
    if isinstance(case.inputs, dict):
        return pipe(**case.inputs, **case.call)
    return pipe(_sensed(case), **case.call)


def _drawn(pipe: Any, case: Case) -> list[Any]:
    """One by one: what the pipelines load a list with draws from the same chance."""
    outputs = []
    for place, one in enumerate(case.inputs):
        set_seed(case.seed + place)
        outputs.append(pipe(one, **case.call))
    return outputs if case.task == "text-generation" else [answer for (answer,) in outputs]


def _sensed(case: Case) -> list[Any]:
    match case.task:
        case "audio-classification" | "automatic-speech-recognition":
            return [sound(*made_from) for made_from in case.inputs]
        case "image-classification":
            return [picture(*made_from) for made_from in case.inputs]
    return list(case.inputs)


def _plain(value: Any) -> Any:
    """Without the types of arrays; numbers to seven places, which is what they are compared to."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 7)
    return value


if __name__ == "__main__":
    main()
