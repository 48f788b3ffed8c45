"""What the report of a training says at its head."""

from collections.abc import Sequence

from tasks.tabular import TrainingResult
from workers.runtimes.h2o_automl.report import Picture, Summary, report, shown
from workers.runtimes.h2o_automl.run_state import Training
from workers.runtimes.h2o_automl.tables import Table


def training_report(
    target: str | None, training: Training, result: TrainingResult, leaderboard: Table, pictures: Sequence[Picture]
) -> bytes:
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
    title = f"What {training.algo} found" if target is None else f"Predicting {target}"
    what = {"AutoML": "H2O AutoML", "grid": f"a grid of {training.algo}", "model": training.algo}[training.what]
    problem = "model without a target" if target is None else result.problem
    summary = Summary(
        title=title,
        subtitle=f"A {problem} trained with {what}.{stopped}",
        facts=facts,
        leaderboard=leaderboard,
        warnings=result.warnings,
        missing=result.explanation_missing,
    )
    return report(summary, pictures)
