"""The streams to choose from, and what each needs."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.chaos import inference_stream, stream
from bench.chaos.stand import Needs
from bench.chaos.stream import RUNNER_MEMORY_BYTES, Planned, in_line

# For PyTorch and two models; what remains after a job has to be less than half of it.
_INFERENCE_MEMORY_BYTES = 1536 << 20


@dataclass(frozen=True)
class Length:
    """How long a stream is, and what is in it: ``eaters`` says whether jobs are that take too much memory."""

    jobs: int
    seed: int
    eaters: bool
    long_seconds: float


@dataclass(frozen=True)
class Stream:
    """``plan`` says which jobs are submitted."""

    needs: Needs
    plan: Callable[[Length], Sequence[Planned]]


def _exclusive(length: Length) -> Sequence[Planned]:
    return stream.plan(length.jobs, length.seed, eaters=length.eaters, long_seconds=length.long_seconds)


def _inference(length: Length) -> Sequence[Planned]:
    return inference_stream.plan(length.jobs, length.seed, eaters=length.eaters, memory_bytes=_INFERENCE_MEMORY_BYTES)


def _mixed(length: Length) -> Sequence[Planned]:
    """Half of each, on the same slots."""
    dice = random.Random(length.seed)  # noqa: S311 - a plan that can be repeated
    half, memory_bytes = length.jobs // 2, _INFERENCE_MEMORY_BYTES
    shared = inference_stream.shapes_of(half, dice, eaters=length.eaters, memory_bytes=memory_bytes)
    exclusive = stream.shapes_of(
        length.jobs - half,
        dice,
        eaters=length.eaters,
        long_seconds=length.long_seconds,
        memory_bytes=memory_bytes,
    )
    return in_line([*shared, *exclusive], dice)[: length.jobs]


# A runner that has to load PyTorch takes seconds of a core to start, so there are fewer.
_SHARED = Needs(slots=2, runner_memory_bytes=_INFERENCE_MEMORY_BYTES, models=True)
STREAMS: Mapping[str, Stream] = {
    "exclusive": Stream(Needs(slots=4, runner_memory_bytes=RUNNER_MEMORY_BYTES), _exclusive),
    "inference": Stream(_SHARED, _inference),
    "mixed": Stream(_SHARED, _mixed),
}
