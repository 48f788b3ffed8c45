"""Explains a model that learned without a target: its clusters, its components, or how odd it finds the test rows."""

from collections.abc import Callable, Iterator

import numpy as np

from tasks.contracts import JobContext, LeaderboardEntry
from tasks.errors import JobCancelled
from workers.runtimes.h2o_automl.automl_view import number, table_rows
from workers.runtimes.h2o_automl.client import H2OClient, Json, path_part
from workers.runtimes.h2o_automl.explained_parts import PART_FAILURES
from workers.runtimes.h2o_automl.explanation import Explanation, save_records
from workers.runtimes.h2o_automl.pictures.unsupervised import draw_components, draw_scores, draw_standing
from workers.runtimes.h2o_automl.report import Picture
from workers.runtimes.h2o_automl.tables import Table
from workers.runtimes.h2o_automl.test_frame import TestFrame

BINS = 40

Drawn = tuple[Table, bytes]


def explain_unsupervised(
    job: JobContext, frame: TestFrame, leader: LeaderboardEntry, report: Callable[[float, str], None]
) -> Explanation:
    """Make each part as a table and a picture; one that fails is named as missing."""
    made = Explanation()
    output = frame.client.get(f"/3/Models/{path_part(leader.model_id)}")["models"][0]["output"]
    for name, make in _parts(job, frame, leader, output):
        if job.should_stop() == "cancel":
            raise JobCancelled("The job was cancelled while its model was explained.")
        report(0.5, name.replace("_", " "))
        try:
            table, picture = make()
        except PART_FAILURES as exc:
            job.log(f"The explanation lacks {name}: {exc}", "warning")
            made.missing.append(name)
            continue
        job.save_artifact(f"{name}.json", table.json(), "application/json")
        job.save_artifact(f"{name}.png", picture, "image/png")
        made.artifacts[name] = [f"{name}.json", f"{name}.png"]
        save_records(job, made, name, [("", table)])
        made.pictures.append(Picture(name, table, picture))
    return made


def _parts(
    job: JobContext, frame: TestFrame, leader: LeaderboardEntry, output: Json
) -> Iterator[tuple[str, Callable[[], Drawn]]]:
    match output["model_category"]:
        case "Clustering":
            yield "clusters", lambda: _clusters(frame.client, frame.key, leader, output)
        case "DimReduction":
            yield "principal_components", lambda: _components(output, leader)
        case "AnomalyDetection":
            yield "anomaly_scores", lambda: _scores(frame, leader, job)


def _clusters(client: H2OClient, key: str, leader: LeaderboardEntry, output: Json) -> Drawn:
    path = f"/3/ModelMetrics/models/{path_part(leader.model_id)}/frames/{path_part(key)}"
    found = client.post(path)["model_metrics"][0]
    sizes = {row["centroid"]: row for row in table_rows(found.get("centroid_stats"))}
    centres = table_rows(output["centers"])
    features = [name for name in centres[0] if name != "centroid"]
    table = Table(
        "Clusters",
        "Centre of each cluster, how many of the test rows are in it, and the sum of their squared distances from it "
        "(of standardised values, unless off).",
        ["cluster", "rows", "within_cluster_sum_of_squares", *features],
        [
            [
                place,
                int(sizes.get(place, {}).get("size") or 0),
                number(sizes.get(place, {}).get("within_cluster_sum_of_squares")),
                *(row[name] for name in features),
            ]
            for place, row in enumerate(centres, start=1)
        ],
    )
    standardised = table_rows(output.get("centers_std"))
    picture = draw_standing(table, standardised or centres, features, leader.model_id, standardised=bool(standardised))
    return table, picture


def _components(output: Json, leader: LeaderboardEntry) -> Drawn:
    weights = table_rows(output["eigenvectors"])
    names = [name for name in weights[0] if name != ""]
    table = Table(
        "Principal components",
        "How much of each column is in each component; the first rows are what the components explain.",
        ["column", *names],
        [[row[""], *(number(row[name]) for name in names)] for row in (*table_rows(output["importance"]), *weights)],
    )
    return table, draw_components(weights, names, leader.model_id)


def _scores(frame: TestFrame, leader: LeaderboardEntry, job: JobContext) -> Drawn:
    # Of an isolation forest H2O calls the score a prediction, of an extended one an anomaly score.
    column = None if leader.algo == "IsolationForest" else "anomaly_score"
    (rows,) = frame.predicted([leader.model_id], frame.sample, [column], job.scratch)
    scores = np.array([float(row[0]) for row in rows])
    counts, edges = np.histogram(scores, bins=BINS)
    table = Table(
        "Anomaly scores of the test rows",
        "How many of the rows have a score from here to there; the higher, the odder.",
        ["from", "to", "rows"],
        [[float(low), float(high), int(count)] for low, high, count in zip(edges, edges[1:], counts, strict=False)],
    )
    return table, draw_scores(table, leader.model_id)
