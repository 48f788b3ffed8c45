"""What the report of a training says at its head."""

from collections.abc import Sequence

from tasks.tabular import TrainingResult
from workers.runtimes.h2o_automl.report import Picture, Summary, report, shown
from workers.runtimes.h2o_automl.tables import Table


def training_report(target: str, result: TrainingResult, leaderboard: Table, pictures: Sequence[Picture]) -> bytes:
    """The self-contained page, as UTF-8."""
    facts = {
        "Best model": result.leader,
        "Models": str(result.models),
        "Sorted by": result.sort_metric,
        **{f"{part.capitalize()} rows": f"{rows:,}" for part, rows in result.rows.items()},
        **{f"Test {name.replace('_', ' ')}": shown(value) for name, value in result.test_metrics.items()},
    }
    if result.runs > 1:
        facts["Runs"] = str(result.runs)
    stopped = " It was stopped early and kept its best so far." if result.stopped_early else ""
    summary = Summary(
        title=f"Predicting {target}",
        subtitle=f"A {result.problem} trained with H2O AutoML.{stopped}",
        facts=facts,
        leaderboard=leaderboard,
        warnings=result.warnings,
        missing=result.explanation_missing,
    )
    return report(summary, pictures)
