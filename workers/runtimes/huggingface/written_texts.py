"""Summaries, translations and texts of texts: what pipelines of transformers 4.57 did, and version 5 lacks."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tasks.errors import InvalidInput
from tasks.huggingface.generation import Generating
from tasks.huggingface.writing import (
    GeneratedTexts,
    Summaries,
    Summarization,
    TextGeneration,
    TextTranslation,
    Translations,
)
from workers.runtimes.huggingface.desk import Desk
from workers.runtimes.huggingface.generation import (
    FROM_TEXT_DEFAULTS,
    Prompt,
    arguments,
    generate,
    most_new_tokens,
    place_seed,
)
from workers.runtimes.huggingface.loading import read_json
from workers.runtimes.huggingface.streaming import Teller


def summarize_text(spec: Summarization, desk: Desk) -> Summaries:
    task = _task_parameters(desk, "summarization")
    ids = [_ids(desk, index, _prefix(desk, task) + text, spec.truncation) for index, text in enumerate(spec.texts)]
    texts = _written(spec, desk, ids, task, spec.clean_up_tokenization_spaces)
    return Summaries.model_validate({"outputs": _shaped("summary_text", texts)})


def translate_text(spec: TextTranslation, desk: Desk) -> Translations:
    tokenizer = desk.equipped.tokenizer
    if hasattr(tokenizer, "_build_translation_inputs"):
        return _translate_between_many(spec, desk)
    # Where a model's configuration has parameters for several pairs, the library's pipeline for none takes these.
    task = _task_parameters(desk, f"translation_{spec.src_lang or 'en'}_to_{spec.tgt_lang or 'fr'}")
    ids = [_ids(desk, index, _prefix(desk, task) + text, spec.truncation) for index, text in enumerate(spec.texts)]
    texts = _written(spec, desk, ids, task, spec.clean_up_tokenization_spaces)
    return Translations.model_validate({"outputs": _shaped("translation_text", texts)})


def _translate_between_many(spec: TextTranslation, desk: Desk) -> Translations:
    """With a model whose first written token names the language."""
    tokenizer = desk.equipped.tokenizer
    known = _languages(tokenizer)
    for language, what in ((spec.src_lang, "src_lang"), (spec.tgt_lang, "tgt_lang")):
        if language is None:
            raise InvalidInput(f"The model knows many languages; give src_lang and tgt_lang, such as {known[0]}.")
        if language not in known:
            raise InvalidInput(f"The model has no language {language!r} for {what}; it has {', '.join(known[:40])}.")
    ids = []
    for index, text in enumerate(spec.texts):
        desk.look()
        with desk.equipped.preparing:
            built = tokenizer._build_translation_inputs(
                text, return_tensors="pt", truncation=spec.truncation, src_lang=spec.src_lang, tgt_lang=spec.tgt_lang
            )
        _require_fitting(desk, index, built["input_ids"])
        ids.append(built["input_ids"])
    first = {"forced_bos_token_id": built["forced_bos_token_id"]}
    texts = _written(spec, desk, ids, first, spec.clean_up_tokenization_spaces)
    return Translations.model_validate({"outputs": _shaped("translation_text", texts)})


def _languages(tokenizer: Any) -> list[str]:
    named = getattr(tokenizer, "lang_code_to_id", None) or getattr(tokenizer, "lang_code_to_token", None)
    return sorted(named or tokenizer.additional_special_tokens)


def rewrite_text(spec: TextGeneration, desk: Desk) -> GeneratedTexts:
    """What a model that makes texts of texts makes of each prompt."""
    prompts = [spec.prefix + prompt for prompt in spec.prompts if isinstance(prompt, str)]
    if len(prompts) < len(spec.prompts):
        raise InvalidInput("The model makes texts of texts and knows no chats; give prompts as texts.")
    if spec.stop_strings is not None:
        raise InvalidInput("stop_strings are for models that continue a prompt; leave them out for this one.")
    ids = [_ids(desk, index, prompt, spec.truncation) for index, prompt in enumerate(prompts)]
    texts = _written(spec, desk, ids, {}, spec.clean_up_tokenization_spaces, stream=spec.stream)
    return GeneratedTexts.model_validate({"outputs": _shaped("generated_text", texts)})


def _task_parameters(desk: Desk, task: str) -> dict[str, Any]:
    """What the model's configuration has for the task."""
    every = read_json(desk.equipped.folder / "config.json").get("task_specific_params") or {}
    return dict(every.get(task) or {})


def _prefix(desk: Desk, task: Mapping[str, Any]) -> str:
    return str(task.get("prefix", getattr(desk.equipped.config, "prefix", None) or ""))


def _ids(desk: Desk, index: int, text: str, truncation: bool) -> torch.Tensor:
    desk.look()
    with desk.equipped.preparing:
        ids: torch.Tensor = desk.equipped.tokenizer(text, truncation=truncation, return_tensors="pt")["input_ids"]
    _require_fitting(desk, index, ids)
    return ids


def _require_fitting(desk: Desk, index: int, ids: torch.Tensor) -> None:
    """A model without numbered positions may read more than its tokenizer says."""
    if ids.shape[1] == 0 or desk.equipped.positions is not None:
        desk.require_fitting("Text", index, ids.shape[1], " or set truncation")


def _written(
    spec: Generating,
    desk: Desk,
    ids: Sequence[torch.Tensor],
    task: Mapping[str, Any],
    clean_up: bool,
    *,
    stream: bool = False,
) -> list[list[str]]:
    """The texts that are written for each input."""
    own = {name: value for name, value in task.items() if name != "prefix"}
    chosen = arguments(spec, desk, FROM_TEXT_DEFAULTS, own | ({"num_beams": 1} if stream else {}))
    new_tokens = most_new_tokens(chosen, desk, 0)
    positions = desk.equipped.positions
    if positions is not None and new_tokens > positions and spec.max_new_tokens is None and spec.max_length is None:
        new_tokens = chosen["max_new_tokens"] = positions - 1  # nobody asked for more than the model can write
    if positions is not None and new_tokens > positions:
        raise InvalidInput(f"Up to {new_tokens} tokens are to be written, and the model can write {positions}.")

    def decode(tokens: list[int]) -> str:
        with desk.equipped.preparing:
            text: str = desk.equipped.tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=clean_up
            )
        return text

    def teller(index: int) -> Teller | None:
        return Teller(lambda text: desk.job.output(index, text), decode) if stream else None

    prompts = [Prompt(row, place_seed(spec.seed, index), teller(index)) for index, row in enumerate(ids)]
    return [[decode(tokens) for tokens in one] for one in generate(desk, prompts, chosen, new_tokens)]


def _shaped(name: str, texts: Sequence[Sequence[str]]) -> list[Any]:
    """As the pipelines answer: no list for an input of one output."""
    named = [[{name: text} for text in one] for one in texts]
    return [one[0] for one in named] if all(len(one) == 1 for one in named) else named
