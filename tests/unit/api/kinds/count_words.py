"""Count the words of texts."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from tasks.contracts import Frozen, Input, JobContext, JobResult, JobSpec
from tasks.kind import kind
from tasks.queues import Queue


class Limits(Frozen):
    longest: int = Field(default=10, ge=1)


class CountWords(JobSpec):
    kind: Literal["count_words"] = "count_words"
    text: str = Field(min_length=1, max_length=100_000, description="What to count in.")
    dataset: Input | None = Field(default=None, description="More text, in a file.")
    further: list[Input] = Field(default=[])
    limits: Limits = Limits()
    ratio: float = 0.5
    columns: list[str] | None = None
    explain: bool = True
    style: Literal["fast", "exact"] = "fast"


class WordCount(JobResult):
    words: int


@kind(queues=(Queue.CPU, Queue.GPU), time_limit=timedelta(minutes=5), max_attempts=3)
def run(spec: CountWords, _job: JobContext) -> WordCount:
    return WordCount(words=len(spec.text.split()))
