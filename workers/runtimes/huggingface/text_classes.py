"""Classes of texts and of their tokens."""

from typing import Any

from tasks.errors import InvalidInput
from tasks.huggingface.classes import (
    TextClasses,
    TextClassification,
    TextPair,
    TokenClasses,
    TokenClassification,
    ZeroShotClasses,
    ZeroShotClassification,
)
from workers.runtimes.huggingface.batches import encode
from workers.runtimes.huggingface.desk import Desk, joined


def classify_text(spec: TextClassification, desk: Desk) -> TextClasses:
    pipe = desk.equipped.pipe
    # The library tells apart whether top_k was given: if it was, there are lists.
    top_k = {"top_k": spec.top_k} if "top_k" in spec.model_fields_set else {}
    cut = {"max_length": spec.max_length} if spec.max_length is not None else {}
    before, _, after = pipe._sanitize_parameters(
        function_to_apply=spec.function_to_apply, truncation=spec.truncation, **cut, **top_k
    )
    texts = [text.model_dump() if isinstance(text, TextPair) else text for text in spec.texts]
    prepared = desk.prepare("Text", texts, lambda text: [pipe.preprocess(text, **before)], " or set truncation")
    outputs = joined(prepared, lambda pieces: encode(desk, pieces))
    return TextClasses(outputs=[pipe.postprocess(piece, **after) for (piece,) in outputs])


def classify_tokens(spec: TokenClassification, desk: Desk) -> TokenClasses:
    pipe = desk.equipped.pipe
    before, after = _token_parameters(spec, desk)
    # The pipeline takes its parameters apart while it uses them.
    prepared = desk.prepare("Text", spec.texts, lambda text: pipe.preprocess(text, **_copied(before)))
    outputs = joined(prepared, lambda pieces: encode(desk, pieces, by_token=True))
    found = []
    for pieces in outputs:
        with desk.equipped.preparing:
            found.append([_plain(entity) for entity in pipe.postprocess(pieces, **after)])
    return TokenClasses.model_validate({"outputs": found})


def _token_parameters(spec: TokenClassification, desk: Desk) -> tuple[dict[str, Any], dict[str, Any]]:
    stride, most = spec.stride, desk.equipped.most_tokens
    special = desk.equipped.tokenizer.num_special_tokens_to_add(pair=False)
    if stride is not None and spec.aggregation_strategy == "none":
        raise InvalidInput("A stride needs an aggregation_strategy: what pieces have in common is found by entities.")
    if stride is not None and (most is None or stride >= most - special):
        raise InvalidInput(f"The stride has to be less than what the model takes, which is {most} tokens.")
    before, _, after = desk.equipped.pipe._sanitize_parameters(
        aggregation_strategy=spec.aggregation_strategy, ignore_labels=spec.ignore_labels, stride=stride
    )
    return before, after


def classify_zero_shot(spec: ZeroShotClassification, desk: Desk) -> ZeroShotClasses:
    pipe = desk.equipped.pipe
    if pipe.entailment_id == -1:
        labels = ", ".join(map(str, desk.equipped.config.id2label.values()))
        raise InvalidInput(
            f"The model's labels are {labels}, and none is entailment; choose one trained on inference of sentences."
        )
    before, _, after = pipe._sanitize_parameters(
        candidate_labels=spec.candidate_labels,
        hypothesis_template=spec.hypothesis_template,
        multi_label=spec.multi_label,
    )
    prepared = desk.prepare("Sequence", spec.sequences, lambda text: pipe.preprocess(text, **before))
    outputs = joined(prepared, lambda pieces: encode(desk, pieces))
    return ZeroShotClasses(outputs=[pipe.postprocess(pieces, **after) for pieces in outputs])


def _copied(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, dict) else value for name, value in parameters.items()}


def _plain(entity: dict[str, Any]) -> dict[str, Any]:
    """Without the types of arrays."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in entity.items()}
