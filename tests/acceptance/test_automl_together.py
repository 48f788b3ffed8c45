"""Several jobs on one cluster."""

from pathlib import Path

from sklearn.datasets import load_iris

from tests.acceptance.automl import left_in_h2o, submit_automl, wait_for_models
from tests.acceptance.program import Program
from tests.waiting import until
from turnout import Client
from turnout.records import File

SMALL = {"max_models": 1, "nfolds": 2, "include_algos": ["GLM"], "explain": False}


def test_two_at_once_do_not_mix(program: Program, client: Client, circle: File, tmp_path: Path) -> None:
    iris = tmp_path / "iris.csv"
    data = load_iris(as_frame=False)
    lines = [
        ",".join(map(str, [*row, data.target_names[label]])) for row, label in zip(data.data, data.target, strict=True)
    ]
    iris.write_text("\n".join(["sepal_l,sepal_w,petal_l,petal_w,species", *lines]))
    first = submit_automl(client, circle, explain=False)
    second = client.submit(
        "train_automl",
        {"dataset": iris, "target": "species", "max_models": 4, "max_runtime_secs": 0, "seed": 1, "explain": False},
    )
    wait_for_models(first)
    assert second.refresh().state == "running"
    assert first.refresh().state == "running"
    records = [job.wait(240) for job in (first, second)]
    assert [record.state for record in records] == ["succeeded", "succeeded"], records
    assert [len(job.leaderboard().rows) for job in (first, second)] == [12, 6]
    assert "auc" in first.leaderboard().rows[0].metrics
    assert "auc" not in second.leaderboard().rows[0].metrics
    models = [{row.model_id for row in job.leaderboard().rows} for job in (first, second)]
    assert not models[0] & models[1]
    until(lambda: not left_in_h2o(program), what="an empty cluster")


def test_ten_in_a_row_leave_nothing_in_the_cluster(program: Program, client: Client, circle: File) -> None:
    jobs = [submit_automl(client, circle, **SMALL) for _ in range(10)]
    assert [job.wait(240).state for job in jobs] == ["succeeded"] * 10
    until(lambda: not left_in_h2o(program), what="an empty cluster")
