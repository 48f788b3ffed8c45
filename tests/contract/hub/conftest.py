from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.fakes.job_context import FakeJobContext


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[[], FakeJobContext]:
    numbers: Iterator[int] = count()
    return lambda: FakeJobContext(tmp_path / f"job_{next(numbers)}")
