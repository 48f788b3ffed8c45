"""Score rows or a whole table with a trained model, without the cluster that trained it."""

from datetime import timedelta
from typing import Literal

from tasks.contracts import JobContext
from tasks.kind import kind
from tasks.queues import Queue
from tasks.runtimes import TableScorer
from tasks.scoring import ScoringResult, TableScoring


class ScoreTable(TableScoring):
    """A model and the rows that it is to predict."""

    kind: Literal["score_table"] = "score_table"


class Scores(ScoringResult):
    """The predictions."""


@kind(queues=(Queue.CPU,), time_limit=timedelta(hours=12), stall_limit=timedelta(minutes=30), max_attempts=3)
def run(spec: ScoreTable, job: JobContext, scorer: TableScorer) -> Scores:
    return Scores.model_validate(scorer.score(spec, job).model_dump())
