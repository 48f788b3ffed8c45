import os
from pathlib import Path

import pytest

from turnout.stack.errors import StackError
from turnout.stack.home import prepare_home, take_home
from turnout.stack.secrets import load_secrets


def test_an_open_home_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    prepare_home(home)
    assert home.stat().st_mode & 0o777 == 0o700


def test_a_shared_directory_is_left_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(StackError, match="shared with others"):
        prepare_home(shared)
    assert shared.stat().st_mode & 0o7777 == 0o1777


def test_a_home_below_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="can't be used: Not a directory"):
        prepare_home(tmp_path / "file" / "home")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StackError, match="can't be used: Permission denied"):
        prepare_home(tmp_path / "home")


def test_one_stack_a_home(tmp_path: Path) -> None:
    prepare_home(tmp_path)
    with take_home(tmp_path), pytest.raises(StackError, match="already running"):
        take_home(tmp_path)
    take_home(tmp_path).close()


def test_damaged_secrets_are_said(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(StackError, match="can't be understood"):
        load_secrets(tmp_path)
