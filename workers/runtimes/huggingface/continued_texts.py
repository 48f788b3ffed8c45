"""What follows a prompt or a chat."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers.utils.chat_template_utils import Chat

from tasks.errors import InvalidInput
from tasks.huggingface.writing import GeneratedTexts, TextGeneration
from workers.runtimes.huggingface.desk import Desk, Piece
from workers.runtimes.huggingface.generation import (
    FROM_PROMPT_DEFAULTS,
    Prompt,
    arguments,
    generate,
    most_new_tokens,
    place_seed,
)
from workers.runtimes.huggingface.streaming import Teller


def continue_text(spec: TextGeneration, desk: Desk) -> GeneratedTexts:
    chosen = arguments(spec, desk, FROM_PROMPT_DEFAULTS, {"num_beams": 1} if spec.stream else {})
    if spec.stop_strings is not None:
        chosen["stop_strings"] = spec.stop_strings
    before, after = _parameters(spec, desk)
    pieces = [_prepared(spec, index, before, desk) for index in range(len(spec.prompts))]
    written: list[Any] = [None] * len(pieces)
    for (new_tokens, least), places in _by_length(pieces, chosen, spec, desk).items():
        own = chosen | {"max_new_tokens": new_tokens} | ({} if least is None else {"min_new_tokens": least})
        prompts = [Prompt(pieces[n]["input_ids"], place_seed(spec.seed, n), _teller(spec, n, desk)) for n in places]
        own = {name: value for name, value in own.items() if name not in ("max_length", "min_length")}
        for place, outputs in zip(places, generate(desk, prompts, own, new_tokens), strict=True):
            written[place] = outputs
    answers = [_in_words(piece, outputs, after, desk) for piece, outputs in zip(pieces, written, strict=True)]
    return GeneratedTexts.model_validate({"outputs": answers})


def _parameters(spec: TextGeneration, desk: Desk) -> tuple[dict[str, Any], dict[str, Any]]:
    before, _, after = desk.equipped.pipe._sanitize_parameters(
        return_full_text=spec.return_full_text,
        clean_up_tokenization_spaces=spec.clean_up_tokenization_spaces,
        continue_final_message=spec.continue_final_message,
        truncation=spec.truncation or None,
    )
    return before | {"prefix": spec.prefix}, after


def _prepared(spec: TextGeneration, index: int, before: Mapping[str, Any], desk: Desk) -> Piece:
    desk.look()
    prompt = spec.prompts[index]
    if isinstance(prompt, list) and desk.equipped.tokenizer.chat_template is None:
        raise InvalidInput("The model's tokenizer has no template for chats; give prompts as texts.")
    # The library's own hint for what a chat is made of is wrong.
    shaped = prompt if isinstance(prompt, str) else Chat([one.model_dump() for one in prompt])  # type: ignore[arg-type]
    with desk.equipped.preparing:
        piece: Piece = dict(desk.equipped.pipe.preprocess(shaped, **before))
    desk.require_fitting("Prompt", index, piece["input_ids"].shape[1], " or set truncation")
    return piece


def _by_length(
    pieces: list[Piece], chosen: Mapping[str, Any], spec: TextGeneration, desk: Desk
) -> dict[tuple[int, int | None], list[int]]:
    """Places of prompts, by how much is to be written after each at most and at least.

    A limit of prompt and output together leaves each prompt its own; so does what the model can tell apart, unless the
    job says how much it wants.
    """
    alike: dict[tuple[int, int | None], list[int]] = {}
    for place, piece in enumerate(pieces):
        length = piece["input_ids"].shape[1]
        wanted = most_new_tokens(chosen, desk, length)
        room = wanted if desk.equipped.positions is None else desk.equipped.positions - length
        if wanted < 1 or (wanted > room and spec.max_new_tokens is not None) or room < 1:
            raise InvalidInput(
                f"Prompt {place} has {length} tokens, which leaves room for {max(room, 0)} more, and {wanted} are to "
                "be written; shorten the prompt or change max_new_tokens or max_length."
            )
        least = None if spec.min_length is None or spec.min_new_tokens else max(0, spec.min_length - length)
        alike.setdefault((min(wanted, room), least), []).append(place)
    return alike


def _teller(spec: TextGeneration, place: int, desk: Desk) -> Teller | None:
    if not spec.stream:
        return None

    def decode(tokens: list[int]) -> str:
        with desk.equipped.preparing:
            text: str = desk.equipped.tokenizer.decode(
                tokens,
                skip_special_tokens=True,
                clean_up_tokenization_spaces=spec.clean_up_tokenization_spaces,
            )
        return text

    return Teller(lambda text: desk.job.output(place, text), decode)


def _in_words(piece: Piece, outputs: list[list[int]], after: Mapping[str, Any], desk: Desk) -> Any:
    """As the pipeline says it; what is after the end of shorter outputs is not said."""
    prompt = piece["input_ids"][0].tolist()
    records = []
    for tokens in outputs:
        said = {
            "generated_sequence": torch.tensor([[prompt + tokens]]),
            "input_ids": piece["input_ids"],
            "prompt_text": piece["prompt_text"],
        }
        with desk.equipped.preparing:
            records += desk.equipped.pipe.postprocess(said, **after)
    return records
