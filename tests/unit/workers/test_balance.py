import random

import pytest

from workers.balance import fair_share


@pytest.mark.parametrize(
    ("waiting", "each", "mine", "others", "share"),
    [
        (10, 1, 0, [], 10),
        (10, 1, 0, [0], 5),
        (11, 1, 0, [0], 6),
        (10, 1, 6, [0], 2),
        (10, 1, 20, [0, 0], 0),
        (2, 256, 256, [0], 1),
        (1, 256, 256, [0], 0),
        (4, 256, 0, [float("inf"), 0], 2),
        (3, 1, 5, [float("inf")], 3),
        (0, 1, 0, [0], 0),
    ],
)
def test_who_has_little_takes_much(waiting: int, each: float, mine: float, others: list[float], share: int) -> None:
    assert fair_share(waiting, each, mine, others) == share


def test_nothing_is_left_over() -> None:
    """Whatever the loads are, what all take together is no less than what waits."""
    dice = random.Random(1)
    for _ in range(300):
        loads = [dice.choice([0, dice.randrange(2000)]) for _ in range(dice.randrange(1, 9))]
        waiting, each = dice.randrange(65), dice.choice([1, 2.5, 64, 300])
        taken = sum(
            fair_share(waiting, each, mine, loads[:index] + loads[index + 1 :]) for index, mine in enumerate(loads)
        )
        assert waiting <= taken <= waiting + len(loads)
