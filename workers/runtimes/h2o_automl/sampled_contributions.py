"""What each feature adds to single predictions, for models that H2O has no SHAP values for.

Shapley values by sampling (Štrumbelj and Kononenko, "Explaining prediction models and individual predictions with
feature contributions", 2014): a row's features replace those of another row one after the other, in a random order, and
what a replacement changes counts for its feature. The mean over orders and other rows is unbiased for any model, and
adds up to the difference between the row's prediction and the others'.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.runtimes.h2o_automl.changed_rows import MOST_CELLS, given_columns, predict_rows
from workers.runtimes.h2o_automl.contributions import Contributions
from workers.runtimes.h2o_automl.test_frame import TestFrame

ROWS = 40
# Each order is used forwards and backwards, which evens out most of the chance in it.
ORDER_PAIRS = 4
# Further features are replaced together, as one.
MOST_FEATURES = 15
OTHERS = "all other features"
SEED = 1

Row = dict[str, str]


def sampled_contributions(
    frame: TestFrame,
    model_id: str,
    features: Sequence[str],
    response: str,
    classes: Sequence[str | None],
    scratch: Path,
) -> Contributions:
    """``features`` are those of the model, the ones that matter most first. On the scale of what is predicted: the
    probability of each of ``classes``, or the number where it is ``[None]``."""
    columns = given_columns(frame, response)
    shown, rest = list(features[:MOST_FEATURES]), list(features[MOST_FEATURES:])
    players = [[name] for name in shown] + ([rest] if rest else [])
    count, pairs = affordable(len(players), len(columns))
    rows = frame.rows_of(frame.sample, scratch, every=frame.step_for(count))
    random = np.random.default_rng(SEED)
    orders = drawn_orders(random, len(rows), pairs, len(players))
    others = random.integers(len(rows), size=(len(rows), pairs))
    changed = (
        mixed
        for place, row in enumerate(rows)
        for turn, order in enumerate(orders[place])
        for mixed in walk(row, rows[others[place, turn // 2]], players, order)
    )
    predicted = predict_rows(frame, "orders", changed, columns, [model_id], classes, scratch)[0]
    names = [*shown, OTHERS] if rest else shown
    return Contributions(
        names,
        [label for label in classes if label is not None],
        [[row.get(name, "") for name in names] for row in rows],
        shares(predicted, orders),
        "the scale of the prediction (for classes, the probability)",
        f"Shapley values estimated by sampling {2 * pairs} orders of the features for each row",
    )


def affordable(players: int, columns: int) -> tuple[int, int]:
    """How many rows to explain, and by how many pairs of orders, so that the changed rows stay a small table."""
    most = MOST_CELLS // ((players + 1) * max(columns, 1) * 2)
    pairs = max(1, min(ORDER_PAIRS, most // ROWS))
    return max(1, min(ROWS, most // pairs)), pairs


def drawn_orders(random: np.random.Generator, rows: int, pairs: int, players: int) -> npt.NDArray[np.int64]:
    """Rows by orders by players; each second order is the one before it backwards."""
    drawn = random.permuted(np.tile(np.arange(players), (rows, pairs, 1)), axis=2)
    return np.stack([drawn, drawn[:, :, ::-1]], axis=2).reshape(rows, 2 * pairs, players)


def walk(row: Row, other: Row, players: Sequence[Sequence[str]], order: Sequence[int]) -> Iterator[Row]:
    """The other row's features, and then the row's own, one more with each step."""
    mixed = row | {name: other[name] for player in players for name in player}
    yield mixed
    for player in order:
        mixed = mixed | {name: row[name] for name in players[player]}
        yield mixed


def shares(predicted: npt.NDArray[np.float64], orders: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Rows by players by classes, from what is predicted at each step of each walk."""
    rows, turns, players = orders.shape
    steps = np.diff(predicted.reshape(rows, turns, players + 1, -1), axis=2)
    found = np.zeros_like(steps)
    np.put_along_axis(found, orders[..., np.newaxis], steps, axis=2)
    return np.asarray(found.mean(axis=1), dtype=np.float64)
