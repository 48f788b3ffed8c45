"""Inference jobs, which share runners and batches, and among them some that are no good company."""

import random
from collections.abc import Sequence

from pydantic import JsonValue

from bench.chaos.fates import EATER, Fate
from bench.chaos.models import CROPPED, UNKNOWN_WORD, WHOLE
from bench.chaos.stream import Planned, Shape, Spec, in_line
from bench.inference_parts.texts import texts

# Each of them is computed again to know what is due.
_DIFFERENT_TEXTS = 1000
_WORDS = 15
_MOST_TEXTS = 4
_MANY_TEXTS = 128
# Beyond what the model takes.
_TOO_MANY_WORDS = 700
_LINGER_SECONDS = 30.0

# Neighbours that end the runner, and faults beside, are no reason for a job to fail.
SOUND = Fate(frozenset())
REFUSED = Fate(frozenset({"invalid_input"}), must_fail=True)
BROKEN = Fate(frozenset({"internal_error"}), must_fail=True)
ENDER = Fate(frozenset({"worker_lost"}), must_fail=True, ruin="job that ends its runner")
LINGERER = Fate(frozenset(), ruin="job that ignores its cancel")


def plan(jobs: int, seed: int, *, eaters: bool = True, memory_bytes: int) -> Sequence[Planned]:
    """Nine in ten have up to four texts, one in fifty 128; of both some are cancelled, while they wait or run. One in a
    hundred has a text that is too long, one in a hundred a word on which the network breaks in the middle of a batch,
    and one in a hundred raises. A few end their runner each time, take more memory than it may have (``memory_bytes``;
    only with ``eaters``), or do not go when they are cancelled."""
    dice = random.Random(seed)  # noqa: S311 - a plan that can be repeated
    return in_line(shapes_of(jobs, dice, eaters=eaters, memory_bytes=memory_bytes), dice)[:jobs]


def shapes_of(jobs: int, dice: random.Random, *, eaters: bool, memory_bytes: int) -> Sequence[Shape]:
    """As ``plan``, in no order."""
    known = texts(min(_DIFFERENT_TEXTS, jobs), _WORDS)
    shapes = _bad_company(jobs, dice, known, memory_bytes if eaters else None)
    for _ in range(max(1, jobs // 50)):
        shapes.append(_sound(dice, _some(dice, known, _MANY_TEXTS), dice.choice([None, None, 0.1, 0.5])))
    while len(shapes) < jobs:
        cancel_after = dice.choice([0.0, 0.1, 0.5]) if dice.random() < 0.04 else None
        shapes.append(_sound(dice, _few(dice, known), cancel_after))
    return shapes


def _bad_company(jobs: int, dice: random.Random, known: Sequence[str], memory_bytes: int | None) -> list[Shape]:
    shapes = []
    for _ in range(max(1, jobs // 100)):
        endless = " ".join(["turnout"] * _TOO_MANY_WORDS)
        refused: Spec = {"model": WHOLE, "texts": [*_few(dice, known), endless], "truncation": False}
        shapes.append(Shape("embed_in_ledger", refused, None, REFUSED))
        broken: Spec = {"model": CROPPED, "texts": [*_few(dice, known), f"a {UNKNOWN_WORD} {dice.choice(known)}"]}
        shapes.append(Shape("embed_in_ledger", broken, None, BROKEN))
        shapes.append(_misbehaving("raise", BROKEN, _few(dice, known)))
    for _ in range(max(1, jobs // 1500)):
        shapes.append(_misbehaving("exit", ENDER, _few(dice, known)))
    if memory_bytes is not None:
        for _ in range(max(1, jobs // 3000)):
            shapes.append(_misbehaving("eat", EATER, _few(dice, known), size_bytes=memory_bytes, seconds=1.0))
    for _ in range(max(1, jobs // 500)):
        lingers = _misbehaving("linger", LINGERER, _few(dice, known), cancel_after=3.0, seconds=_LINGER_SECONDS)
        shapes.append(lingers)
    return shapes


def _misbehaving(
    conduct: str, fate: Fate, given: list[JsonValue], *, cancel_after: float | None = None, **amounts: float
) -> Shape:
    spec: Spec = {"conduct": conduct, "model": WHOLE, "texts": given, **amounts}
    return Shape("embed_and_misbehave", spec, cancel_after, fate)


def _sound(dice: random.Random, given: list[JsonValue], cancel_after: float | None) -> Shape:
    spec: Spec = {"model": dice.choice([WHOLE, CROPPED]), "texts": given}
    return Shape("embed_in_ledger", spec, cancel_after, SOUND)


def _few(dice: random.Random, known: Sequence[str]) -> list[JsonValue]:
    return _some(dice, known, dice.randint(1, _MOST_TEXTS))


def _some(dice: random.Random, known: Sequence[str], count: int) -> list[JsonValue]:
    return [dice.choice(known) for _ in range(count)]
