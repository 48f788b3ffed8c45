"""From the chances of each token to begin or end an answer, to the best answers.

After transformers 4.57 (``pipelines/question_answering.py``, Apache License 2.0), whose results these are.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.huggingface.answering import QuestionAnswering
from workers.runtimes.huggingface.desk import Piece

Floats = NDArray[np.floating[Any]]
_NEVER = -10_000.0
_SURE = 1_000_000.0


def best_answers(
    context: str, pieces: Sequence[Piece], spec: QuestionAnswering, *, question_first: bool
) -> list[dict[str, Any]]:
    """The best of all pieces. The same words found again add to the first's score."""
    top_k = spec.topk if spec.topk is not None and "top_k" not in spec.model_fields_set else spec.top_k
    candidates = top_k * 2 + 10 if spec.align_to_words else top_k  # aligned to words, several become the same
    answers: list[dict[str, Any]] = []
    nothing = _SURE
    for piece in pieces:
        start, end = _chances(piece["start_logits"], piece), _chances(piece["end_logits"], piece)
        if spec.handle_impossible_answer:
            nothing = min(nothing, (start[0] * end[0]).item())
        start[0] = end[0] = 0.0
        for first, last, score in _spans(start, end, candidates, spec.max_answer_len, ~piece["outside"]):
            begin, until = _place(piece["encoding"], first, last, 1 if question_first else 0, spec.align_to_words)
            _add(answers, {"score": score, "start": begin, "end": until, "answer": context[begin:until]})
    if spec.handle_impossible_answer:
        answers.append({"score": nothing, "start": 0, "end": 0, "answer": ""})
    return sorted(answers, key=lambda answer: answer["score"], reverse=True)[:top_k]


def _add(answers: list[dict[str, Any]], found: dict[str, Any]) -> None:
    for answer in answers:
        if answer["answer"].lower() == found["answer"].lower():
            answer["score"] += found["score"]
            return
    answers.append(found)


def _chances(logits: Any, piece: Piece) -> Floats:
    inside = np.where(piece["outside"], _NEVER, logits[0].float().numpy())
    raised = np.exp(inside - inside.max())
    chances: Floats = raised / raised.sum()
    return chances


def _spans(
    start: Floats, end: Floats, most: int, longest: int, inside: NDArray[np.bool_]
) -> Sequence[tuple[int, int, float]]:
    """First token, last token and score of up to ``most`` spans."""
    together = np.tril(np.triu(np.outer(start, end)), longest - 1)
    scores = together.ravel()
    if most == 1:
        best = np.array([scores.argmax()])
    elif len(scores) <= most:
        best = np.argsort(-scores)
    else:
        likely = np.argpartition(-scores, most)[:most]
        best = likely[np.argsort(-scores[likely])]
    firsts, lasts = np.unravel_index(best, together.shape)
    return [
        (int(first), int(last), float(together[first, last]))
        for first, last in zip(firsts, lasts, strict=True)
        if inside[first] and inside[last]
    ]


def _place(encoding: Any, first: int, last: int, sequence: int, align_to_words: bool) -> tuple[int, int]:
    """Where tokens stand in the context, in characters; with whole words, if the tokenizer knows words."""
    if align_to_words:
        words = encoding.token_to_word(first), encoding.token_to_word(last)
        if None not in words:
            begin, until = (encoding.word_to_chars(word, sequence_index=sequence) for word in words)
            if begin is not None and until is not None:
                return int(begin[0]), int(until[1])
    return int(encoding.offsets[first][0]), int(encoding.offsets[last][1])
