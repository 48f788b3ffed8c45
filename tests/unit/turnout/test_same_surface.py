"""What one client can do, the other can, in the same words."""

import inspect
import re
import subprocess
import sys

import pytest

import turnout
from turnout import AsyncClient, AsyncJob, AsyncModels, Client, Job, Models

PAIRS = [(Client, AsyncClient), (Job, AsyncJob), (Models, AsyncModels)]
_SAME = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
# What handles and entering differ in of necessity.
_OWN_WORDS = {"__init__", "__enter__", "__exit__"}


def surface(cls: type) -> dict[str, object]:
    """Public names, with the blocking one's names where the two must differ."""
    return {
        _SAME.get(name, name): member
        for name, member in inspect.getmembers(cls)
        if not name.startswith("_") or name in _OWN_WORDS | set(_SAME)
    }


def signature(member: object) -> str:
    text = str(inspect.signature(member)) if callable(member) else "property"
    text = re.sub(r"turnout\.(async_)?\w+\.", "", text)
    text = re.sub(r"(collections\.abc\.)?AsyncGenerator\[(\w+), None\]", r"Iterator[\2]", text)
    return re.sub(r"\bAsync(?=Client|Job|Models|Driver)", "", text).replace("collections.abc.", "").replace("'", "")


@pytest.mark.parametrize(("blocking", "awaiting"), PAIRS)
def test_the_same_names_signatures_and_words(blocking: type, awaiting: type) -> None:
    one, other = surface(blocking), surface(awaiting)
    assert one.keys() == other.keys()
    for name in one:
        assert signature(one[name]) == signature(other[name]), name
        assert inspect.getdoc(one[name]) == inspect.getdoc(other[name]), name


@pytest.mark.parametrize("cls", [cls for pair in PAIRS for cls in pair])
def test_everything_public_is_explained(cls: type) -> None:
    bare = [name for name, member in surface(cls).items() if not inspect.getdoc(member)]
    assert set(bare) <= _OWN_WORDS | {"id", "kind"}


def test_every_public_name_is_there_and_loaded_only_when_used() -> None:
    assert all(getattr(turnout, name).__module__.startswith("turnout.") for name in turnout.__all__)
    assert set(turnout.__all__) <= set(dir(turnout))
    with pytest.raises(AttributeError, match="'Clients'"):
        turnout.Clients  # noqa: B018 - the look alone raises
    program = "import sys, turnout, turnout.cli; print('httpx' in sys.modules, 'click' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
