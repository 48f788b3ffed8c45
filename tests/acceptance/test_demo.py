"""The example that ``make demo`` runs."""

import re
import sys
from pathlib import Path

from tests.acceptance.program import Program, wait_until_gone, whole_tree

CIRCLE = Path(__file__).parents[2] / "examples" / "circle.py"
# The job may take its whole time limit on a busy machine, and the parts their time to start.
_SECONDS = 400


def test_the_example_runs_from_submission_to_leaderboard(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.launch(sys.executable, "-P", CIRCLE)
    program.wait_for_line("Submitted train_automl")
    processes = whole_tree(program.process)
    code = program.wait(_SECONDS)
    assert code == 0, program.output
    assert "Rows  607 train, 181 validation, 212 test" in program.output
    [header] = re.findall(r"^model_id +auc.*$", program.output, re.MULTILINE)
    assert header.split() == ["model_id", "auc", "logloss", "aucpr", "mean_per_class_error", "rmse", "mse"]
    assert re.search(r"^actual .* predicted +0 +1$", program.output, re.MULTILINE)
    for part, port in (("API", program.api_port), ("Job", program.api_port), ("Flower", program.flower_port)):
        assert re.search(rf"^  {part} +http://127\.0\.0\.1:{port}/", program.output, re.MULTILINE), part
    wait_until_gone(processes)
