"""Batches of what was prepared one by one: padded where lengths differ, and taken apart again."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from workers.inference.batcher import Item
from workers.runtimes.huggingface.desk import Desk, Piece

Row = Mapping[str, torch.Tensor]


def padded(rows: Sequence[Row], pad_token_id: int, *, left: bool = False) -> dict[str, torch.Tensor]:
    """One batch of rows of a first dimension of 1; where their second differs it is filled up, on the right unless
    ``left``, with zeros, ids with ``pad_token_id``."""
    return {
        name: _padded([row[name] for row in rows], pad_token_id if name == "input_ids" else 0, left) for name in rows[0]
    }


def _padded(tensors: Sequence[torch.Tensor], fill: int, left: bool) -> torch.Tensor:
    longest = max(tensor.shape[1] for tensor in tensors)
    batch = torch.full((len(tensors), longest, *tensors[0].shape[2:]), fill, dtype=tensors[0].dtype)
    for number, tensor in enumerate(tensors):
        length = tensor.shape[1]
        batch[number, longest - length if left else 0 : longest if left else length] = tensor[0]
    return batch


def token_rows(desk: Desk, pieces: Sequence[Piece]) -> list[Item]:
    """Of each piece what the network takes."""
    names = desk.equipped.tokenizer.model_input_names
    return [
        Item({name: piece[name] for name in names if name in piece}, piece["input_ids"].shape[1]) for piece in pieces
    ]


def encode(
    desk: Desk, pieces: Sequence[Piece], names: Sequence[str] = ("logits",), *, by_token: bool = False
) -> Sequence[Piece]:
    """What the network says of each piece, under ``names``; ``by_token`` for each of its tokens."""

    def compute(rows: Sequence[Row]) -> Sequence[Piece]:
        said = run_network(desk, rows)
        return [
            {name: said[name][number : number + 1, : _length(row) if by_token else None].cpu() for name in names}
            for number, row in enumerate(rows)
        ]

    return desk.compute((tuple(names), by_token), token_rows(desk, pieces), compute, most_items=most_items(desk))


def run_network(desk: Desk, rows: Sequence[Row]) -> Any:
    """The network's output for a padded batch of token rows; in the device's thread."""
    network = desk.equipped.network
    batch = {name: tensor.to(network.device) for name, tensor in padded(rows, desk.equipped.pad_token_id or 0).items()}
    # What is read once needs no memory of it.
    extra = {"use_cache": False} if "use_cache" in inspect.signature(network.forward).parameters else {}
    return network(**batch, **extra)


def most_items(desk: Desk) -> int | None:
    """One, if the network can't be told what is padding."""
    equipped = desk.equipped
    told = "attention_mask" in equipped.tokenizer.model_input_names and equipped.config.pad_token_id is not None
    return None if told and equipped.pad_token_id is not None else 1


def by_shape(compute: Callable[[Sequence[Row]], Sequence[Any]]) -> Callable[[Sequence[Row]], Sequence[Any]]:
    """``compute`` for rows that can't be padded: it gets those of equal shapes together."""

    def each(rows: Sequence[Row]) -> Sequence[Any]:
        alike: dict[Any, list[int]] = {}
        for number, row in enumerate(rows):
            alike.setdefault(tuple(tensor.shape for tensor in row.values()), []).append(number)
        outputs: list[Any] = [None] * len(rows)
        for numbers in alike.values():
            for number, output in zip(numbers, compute([rows[number] for number in numbers]), strict=True):
                outputs[number] = output
        return outputs

    return each


def _length(row: Row) -> int:
    return row["input_ids"].shape[1]
