"""What inference jobs have to answer."""

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from bench.chaos.contradictions import TOLERANCE
from bench.chaos.evidence import Vectors
from bench.chaos.parts import PYTHON, clean_environment
from bench.chaos.stream import Planned

_PATIENCE_SECONDS = 300
# Two texts of which each could pass for the other would prove nothing.
_LEAST_DIFFERENCE = 10 * TOLERANCE


def due_vectors(stream: Iterable[Planned]) -> Mapping[str, Vectors]:
    """By entry, of those jobs that embed texts and may succeed. Raises ``ValueError`` if two texts are too much alike
    to be told from each other."""
    asked = {
        one.entry: [str(text) for text in _list(one.spec["texts"])]
        for one in stream
        if one.kind == "embed_in_ledger" and not one.fate.must_fail
    }
    if not asked:
        return {}
    vectors = _raw_vectors(sorted({text for texts in asked.values() for text in texts}))
    require_different(vectors)
    return {entry: [vectors[text] for text in texts] for entry, texts in asked.items()}


def require_different(vectors: Mapping[str, Sequence[float]]) -> None:
    """Raises ``ValueError``."""
    for (one, its), (other, others) in combinations(vectors.items(), 2):
        if all(abs(a - b) < _LEAST_DIFFERENCE for a, b in zip(its, others, strict=True)):
            raise ValueError(f"the vectors of {one!r} and {other!r} can't be told apart")


def _raw_vectors(texts: Sequence[str]) -> Mapping[str, Sequence[float]]:
    """In a process of its own, for this one is to load no ML library."""
    done = subprocess.run(
        [*PYTHON, "bench.chaos.raw_vectors"],
        input=json.dumps(texts).encode(),
        stdout=subprocess.PIPE,
        env=clean_environment(),
        timeout=_PATIENCE_SECONDS,
        check=True,
    )
    return dict(zip(texts, json.loads(done.stdout), strict=True))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(type(value).__name__)
    return value
