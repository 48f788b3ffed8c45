"""``make kind NAME=verb_noun``: a new kind of job and its test, ready to be filled in."""

import re
import sys
from pathlib import Path

KIND = '''"""TODO: say in one line what this kind is for; it becomes its help."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from tasks.contracts import JobContext, JobResult, JobSpec
from tasks.kind import kind
from tasks.queues import Queue


class {camel}(JobSpec):
    """What goes in."""

    kind: Literal["{name}"] = "{name}"
    text: str = Field(min_length=1, description="What to work on.")


class {camel}Result(JobResult):
    """What comes out."""

    text: str


@kind(queues=(Queue.CPU,), time_limit=timedelta(minutes=5), max_attempts=3)
def run(spec: {camel}, job: JobContext) -> {camel}Result:
    return {camel}Result(text=spec.text)
'''

TEST = """from tasks.kinds.{name} import {camel}, run
from tests.fakes.job_context import FakeJobContext


def test_what_goes_in_comes_out(job: FakeJobContext) -> None:
    assert run.run({camel}(text="a"), job).text == "a"
"""


def main(name: str) -> None:
    if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name):
        sys.exit('Name it verb_noun, in small letters: make kind NAME="embed_text"')
    root = Path(__file__).parent.parent
    camel = "".join(word.capitalize() for word in name.split("_"))
    for path, text in (
        (root / "tasks" / "kinds" / f"{name}.py", KIND),
        (root / "tests" / "unit" / "tasks" / f"test_{name}.py", TEST),
    ):
        if path.exists():
            sys.exit(f"{path.relative_to(root)} exists already.")
        path.write_text(text.format(name=name, camel=camel))
        sys.stdout.write(f"{path.relative_to(root)}\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else "")
