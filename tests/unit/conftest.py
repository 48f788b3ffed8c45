from pathlib import Path

import pytest

from tests.fakes.job_context import FakeJobContext


@pytest.fixture
def job(tmp_path: Path) -> FakeJobContext:
    return FakeJobContext(tmp_path)
