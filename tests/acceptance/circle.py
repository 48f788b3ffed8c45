"""The data of the example: two noisy circles, one inside the other."""

import csv
from pathlib import Path

from sklearn.datasets import make_circles


def write_circle(path: Path) -> Path:
    """1,000 rows of x1, x2 and the class y."""
    points, classes = make_circles(n_samples=1000, noise=0.2, factor=0.5, random_state=9)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x1", "x2", "y"])
        writer.writerows(
            [repr(float(x1)), repr(float(x2)), int(y)] for (x1, x2), y in zip(points, classes, strict=True)
        )
    return path
