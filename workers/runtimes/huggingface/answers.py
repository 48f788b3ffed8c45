"""Answers that stand in a text: what the question answering of transformers 4.57 did, which version 5 lacks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from tasks.errors import InvalidInput
from tasks.huggingface.answering import Answers, QuestionAnswering
from workers.runtimes.huggingface.answer_spans import best_answers
from workers.runtimes.huggingface.batches import encode
from workers.runtimes.huggingface.desk import Desk, Piece, joined

_LONGEST_PIECE, _WIDEST_STRIDE = 384, 128


def answer_question(spec: QuestionAnswering, desk: Desk) -> Answers:
    questions = [spec.question] if isinstance(spec.question, str) else spec.question
    contexts = [spec.context] * len(questions) if isinstance(spec.context, str) else spec.context
    if not desk.equipped.tokenizer.is_fast:
        raise InvalidInput("The model's tokenizer doesn't know where in a text its tokens stand; choose another model.")
    asked = list(enumerate(zip(questions, contexts, strict=True)))
    prepared = desk.prepare("Question", asked, lambda one: _pieces(one[0], *one[1], spec, desk))
    outputs = joined(prepared, lambda pieces: encode(desk, pieces, ("start_logits", "end_logits"), by_token=True))
    answers = [
        best_answers(context, pieces, spec, question_first=_question_first(desk))
        for context, pieces in zip(contexts, outputs, strict=True)
    ]
    return Answers.model_validate({"outputs": [one[0] if len(one) == 1 else one for one in answers]})


def _question_first(desk: Desk) -> bool:
    return bool(desk.equipped.tokenizer.padding_side == "right")


def _pieces(index: int, question: str, context: str, spec: QuestionAnswering, desk: Desk) -> Iterator[Piece]:
    """Question and context together, the context in overlapping pieces if it is long."""
    tokenizer = desk.equipped.tokenizer
    longest, stride = _lengths(index, question, spec, desk)
    first = _question_first(desk)
    encoded = tokenizer(
        text=question if first else context,
        text_pair=context if first else question,
        truncation="only_second" if first else "only_first",
        max_length=longest,
        stride=stride,
        return_token_type_ids=True,
        return_overflowing_tokens=True,
    )
    for number, ids in enumerate(encoded["input_ids"]):
        rows = {name: torch.tensor([encoded[name][number]]) for name in tokenizer.model_input_names if name in encoded}
        yield {**rows, "outside": _outside(encoded, number, ids, tokenizer, first), "encoding": encoded[number]}


def _outside(encoded: Any, number: int, ids: list[int], tokenizer: Any, question_first: bool) -> np.ndarray[Any, Any]:
    """Which tokens can't be part of an answer: all but the context's, and the first one, which some models answer with
    if there is no answer."""
    side = 1 if question_first else 0
    return np.array(
        [
            place != side and token != tokenizer.cls_token_id
            for place, token in zip(encoded.sequence_ids(number), ids, strict=True)
        ]
    )


def _lengths(index: int, question: str, spec: QuestionAnswering, desk: Desk) -> tuple[int, int]:
    """How long a piece is and by how much pieces overlap. Raises ``InvalidInput`` if that leaves no room."""
    tokenizer, most = desk.equipped.tokenizer, desk.equipped.most_tokens
    longest = spec.max_seq_len or min(most or _LONGEST_PIECE, _LONGEST_PIECE)
    if most is not None and longest > most:
        raise InvalidInput(f"max_seq_len is {longest}, and the model takes {most} tokens.")
    stride = min(longest // 2, _WIDEST_STRIDE) if spec.doc_stride is None else spec.doc_stride
    tokens = len(tokenizer(question, add_special_tokens=False)["input_ids"])
    room = longest - tokens - tokenizer.num_special_tokens_to_add(pair=True)
    if room <= stride:
        raise InvalidInput(
            f"Question {index} has {tokens} tokens, which leaves {max(room, 0)} of {longest} for its context; that has "
            f"to be more than the doc_stride of {stride}. Shorten the question, or change max_seq_len or doc_stride."
        )
    return longest, stride
