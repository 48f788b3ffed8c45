"""What belongs into a text's gaps."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.pipelines.base import PipelineException

from tasks.errors import InvalidInput
from tasks.huggingface.filling import Fillings, MaskFilling
from workers.runtimes.huggingface.batches import Row, most_items, run_network, token_rows
from workers.runtimes.huggingface.desk import Desk, Piece, joined


def fill_mask(spec: MaskFilling, desk: Desk) -> Fillings:
    targets = _target_ids(spec, desk)
    prepared = desk.prepare("Text", spec.texts, lambda text: [_masked(text, spec, desk)], " or set truncation")
    outputs = joined(prepared, lambda pieces: _fill(pieces, spec.top_k, targets, desk))
    return Fillings.model_validate({"outputs": [_in_words(piece, desk) for (piece,) in outputs]})


def _target_ids(spec: MaskFilling, desk: Desk) -> tuple[int, ...] | None:
    if spec.targets is None:
        return None
    try:
        with desk.equipped.preparing:
            return tuple(sorted(int(number) for number in desk.equipped.pipe.get_target_ids(spec.targets)))
    except ValueError as exc:
        raise InvalidInput("None of the targets is a word that the model knows.") from exc


def _masked(text: str, spec: MaskFilling, desk: Desk) -> Piece:
    try:
        piece: Piece = desk.equipped.pipe.preprocess(text, tokenizer_kwargs={"truncation": spec.truncation})
    except PipelineException as exc:
        index = spec.texts.index(text)
        raise InvalidInput(
            f"Text {index} has no gap; mark it with {desk.equipped.tokenizer.mask_token}, the model's mask token."
        ) from exc
    return piece


def _fill(pieces: Sequence[Piece], top_k: int, targets: tuple[int, ...] | None, desk: Desk) -> Sequence[Piece]:
    """The likeliest tokens of each gap; a gap's chances of all tokens would be large."""
    mask = desk.equipped.tokenizer.mask_token_id

    def compute(rows: Sequence[Row]) -> Sequence[Piece]:
        logits = run_network(desk, rows).logits
        return [_best(logits[number], row["input_ids"][0] == mask) for number, row in enumerate(rows)]

    def _best(logits: torch.Tensor, gaps: torch.Tensor) -> Piece:
        chances = logits[: gaps.shape[0]][gaps.to(logits.device)].float().softmax(dim=-1)
        if targets is not None:
            chances = chances[:, list(targets)]
        values, tokens = chances.topk(min(top_k, chances.shape[-1]))
        names = tokens.tolist() if targets is None else [[targets[place] for place in row] for row in tokens.tolist()]
        return {"chances": values.tolist(), "fillings": names}

    return desk.compute((top_k, targets), token_rows(desk, pieces), compute, most_items=most_items(desk))


def _in_words(piece: Piece, desk: Desk) -> list[Any]:
    tokenizer = desk.equipped.tokenizer
    ids = piece["input_ids"][0].tolist()
    gaps = [place for place, token in enumerate(ids) if token == tokenizer.mask_token_id]
    lists = []
    with desk.equipped.preparing:
        for place, chances, tokens in zip(gaps, piece["chances"], piece["fillings"], strict=True):
            lists.append(
                [
                    {
                        "score": chance,
                        "token": token,
                        "token_str": tokenizer.decode([token]),
                        # Special tokens are left out, but not the other gaps.
                        "sequence": tokenizer.decode(
                            [*ids[:place], token, *ids[place + 1 :]], skip_special_tokens=len(gaps) == 1
                        ),
                    }
                    for chance, token in zip(chances, tokens, strict=True)
                ]
            )
    return lists[0] if len(lists) == 1 else lists
