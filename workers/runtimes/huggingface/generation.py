"""Writing token by token, for the prompts of many jobs at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from tasks.errors import InvalidInput
from tasks.huggingface.generation import Generating
from workers.inference.batcher import Item
from workers.runtimes.huggingface.batches import padded
from workers.runtimes.huggingface.desk import Desk
from workers.runtimes.huggingface.streaming import Teller, TellingStreamer

# What the pipelines of 4.57 take where neither the job nor the model says anything.
FROM_TEXT_DEFAULTS: Mapping[str, Any] = {"max_new_tokens": 256, "num_beams": 4}
FROM_PROMPT_DEFAULTS: Mapping[str, Any] = {"max_new_tokens": 256, "do_sample": True, "temperature": 0.7}
# Without chance these mean nothing, and the library warns about them.
_SAMPLING = {"temperature", "top_k", "top_p"}


@dataclass(frozen=True)
class Prompt:
    """What ``generate`` starts from: token ids of shape (1, length). ``seed`` makes its draws repeatable; ``teller``
    wants to know each token."""

    ids: torch.Tensor
    seed: int | None = None
    teller: Teller | None = None


def arguments(
    spec: Generating, desk: Desk, defaults: Mapping[str, Any], task_parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """What ``generate`` gets: what the job gives, else what the model's configuration has for the task, else what its
    generation settings say (``generate`` looks at those by itself), else ``defaults``."""
    given = spec.generation()
    said = set(desk.equipped.network.generation_config.to_diff_dict())
    chosen = {name: value for name, value in defaults.items() if name not in said}
    if "max_length" in said:
        chosen.pop("max_new_tokens", None)
    chosen |= task_parameters
    if "max_length" in given and "max_new_tokens" not in given:
        chosen["max_new_tokens"] = None  # else it would overrule the length that was asked for
    chosen |= given
    if not chosen.get("do_sample", getattr(desk.equipped.network.generation_config, "do_sample", False)):
        chosen = {name: value for name, value in chosen.items() if name not in _SAMPLING}
    chosen["return_dict_in_generate"] = False
    _require_sequences(chosen, desk)
    return chosen


def most_new_tokens(chosen: Mapping[str, Any], desk: Desk, prompt_tokens: int) -> int:
    """How much may be written after a prompt of so many tokens (0 where it isn't part of what is written)."""
    settings = desk.equipped.network.generation_config
    most = chosen["max_new_tokens"] if "max_new_tokens" in chosen else getattr(settings, "max_new_tokens", None)
    if most is not None:
        return int(most)
    return int(chosen.get("max_length") or getattr(settings, "max_length", None) or 20) - prompt_tokens


def generate(
    desk: Desk, prompts: Sequence[Prompt], chosen: Mapping[str, Any], new_tokens: int
) -> Sequence[list[list[int]]]:
    """For each prompt the token ids of each of its outputs, without the prompt."""
    items = [Item(prompt, prompt.ids.shape[1] + new_tokens) for prompt in prompts]
    seeded = any(prompt.seed is not None for prompt in prompts)
    key = (tuple(sorted((name, _hashable(value)) for name, value in chosen.items())), seeded)
    return desk.compute(key, items, _writer(desk, chosen), most_items=1 if seeded else None)


def _writer(desk: Desk, chosen: Mapping[str, Any]) -> Callable[[Sequence[Prompt]], Sequence[list[list[int]]]]:
    equipped = desk.equipped
    from_text = equipped.config.is_encoder_decoder

    def compute(prompts: Sequence[Prompt]) -> Sequence[list[list[int]]]:
        rows = [{"input_ids": prompt.ids, "attention_mask": torch.ones_like(prompt.ids)} for prompt in prompts]
        filler = _filler(desk)
        batch = {name: t.to(equipped.network.device) for name, t in padded(rows, filler, left=not from_text).items()}
        streamer = TellingStreamer([prompt.teller for prompt in prompts], skip_first=not from_text)
        with _drawing(prompts[0].seed), _translated():
            written = equipped.network.generate(
                **batch,
                **{"pad_token_id": filler, **chosen},
                tokenizer=equipped.tokenizer,
                streamer=streamer if streamer.wanted else None,
                stopping_criteria=StoppingCriteriaList([_Unwanted(desk)]),
            )
        streamer.flush()
        new = written if from_text else written[:, batch["input_ids"].shape[1] :]
        return [_trimmed(sequences, filler) for sequences in new.cpu().chunk(len(prompts))]

    return compute


def _filler(desk: Desk) -> int:
    """What fills up short prompts, and outputs after their end."""
    chosen = desk.equipped.pad_token_id
    if chosen is None:
        end = desk.equipped.network.generation_config.eos_token_id
        chosen = end[0] if isinstance(end, list) else end
    return int(chosen or 0)


def _trimmed(sequences: torch.Tensor, filler: int) -> list[list[int]]:
    """Without what fills up the shorter ones of a batch."""
    trimmed = []
    for sequence in sequences.tolist():
        while sequence and sequence[-1] == filler:
            sequence.pop()
        trimmed.append(sequence)
    return trimmed


class _Unwanted(StoppingCriteria):
    """Ends a batch that nobody wants any more, at its next token."""

    def __init__(self, desk: Desk) -> None:
        self._batcher = desk.batcher

    def __call__(self, input_ids: torch.Tensor, *_scores: Any, **_more: Any) -> torch.Tensor:
        gone = all(self._batcher.withdrawn())
        return torch.full((input_ids.shape[0],), gone, device=input_ids.device, dtype=torch.bool)


@contextmanager
def _drawing(seed: int | None) -> Iterator[None]:
    """Draw as the seed says, and leave the draws of others as they were."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        why = str(exc).strip().partition("\n")[0][:300]
        raise InvalidInput(f"The model can't write as these parameters say: {why}") from exc


def _require_sequences(chosen: Mapping[str, Any], desk: Desk) -> None:
    settings = desk.equipped.network.generation_config
    beams = chosen.get("num_beams") or getattr(settings, "num_beams", None) or 1
    sequences = chosen.get("num_return_sequences") or 1
    sampled = chosen.get("do_sample", getattr(settings, "do_sample", False))
    if sequences > beams and not sampled:
        raise InvalidInput(
            f"num_return_sequences is {sequences}, and num_beams {beams}; without do_sample each output needs a beam."
        )


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def place_seed(seed: int | None, place: int) -> int | None:
    """The seed of the input at that place: equal inputs of a job are not to be drawn alike."""
    return None if seed is None else seed + place
