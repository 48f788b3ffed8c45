"""A model in use by one job: prepare the inputs, compute in batches with other jobs, make answers."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tasks.contracts import JobContext
from tasks.errors import InvalidInput, JobCancelled, JobStoppedEmpty
from workers.inference.batcher import Batcher, Group, Item
from workers.runtimes.huggingface.equipment import Equipped
from workers.runtimes.huggingface.loading import computing

Input = TypeVar("Input")
Piece = dict[str, Any]
Compute = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True)
class Desk:
    """``identity`` tells the model, and what it is used for, from all others."""

    equipped: Equipped
    identity: Hashable
    job: JobContext
    batcher: Batcher

    def compute(
        self, key: Hashable, items: Sequence[Item], compute: Compute, *, most_items: int | None = None
    ) -> Sequence[Any]:
        """An output for each item. ``key`` holds what ``compute`` depends on beside the model."""
        group = Group((self.identity, key), most_items=most_items)
        return self.batcher.run(self.job, group, items, computing(compute))

    def look(self) -> None:
        """Raises ``JobCancelled`` or ``JobStoppedEmpty`` if the job is to end."""
        match self.job.should_stop():
            case "cancel":
                raise JobCancelled("The job was cancelled.")
            case "stop":
                raise JobStoppedEmpty("The job was stopped; a part of its outputs is not kept.")

    def prepare(
        self, what: str, inputs: Sequence[Input], prepare: Callable[[Input], Iterable[Piece]], hint: str = ""
    ) -> list[list[Piece]]:
        """The pieces that each input is read in. Raises ``InvalidInput`` that names the input by ``what`` it is and its
        place if one of its pieces is longer than the model takes, or empty."""
        prepared = []
        for index, one in enumerate(inputs):
            self.look()
            with self.equipped.preparing:
                pieces = list(prepare(one))
            for piece in pieces:
                self.require_fitting(what, index, piece["input_ids"].shape[1], hint)
            prepared.append(pieces)
        return prepared

    def require_fitting(self, what: str, index: int, tokens: int, hint: str = "") -> None:
        """Raises ``InvalidInput``."""
        most = self.equipped.most_tokens
        if tokens == 0:
            raise InvalidInput(f"{what} {index} has nothing in it that the model can read.")
        if most is not None and tokens > most:
            raise InvalidInput(f"{what} {index} has {tokens} tokens, and the model takes {most}; shorten it{hint}.")


def joined(
    prepared: Sequence[Sequence[Piece]], compute: Callable[[Sequence[Piece]], Sequence[Piece]]
) -> list[list[Piece]]:
    """Each input's pieces, with what ``compute`` makes of all of them added."""
    outputs = iter(compute([piece for pieces in prepared for piece in pieces]))
    return [[{**piece, **next(outputs)} for piece in pieces] for pieces in prepared]
