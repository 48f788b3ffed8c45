"""Find the answers to questions in texts with a Hugging Face model."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.huggingface.answering import Answers, QuestionAnswering
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import HuggingFace


class AnswerQuestion(QuestionAnswering):
    """Questions, texts, and the model."""

    kind: Literal["answer_question"] = "answer_question"


@kind(queues=(Queue.GPU, Queue.CPU), time_limit=timedelta(hours=1), max_attempts=3, shared=True, fallback=True)
def run(spec: AnswerQuestion, job: JobContext, hf: HuggingFace) -> Answers:
    return hf.answer_question(spec, job)
