from pathlib import Path

from turnout.connection import DEFAULT_URL, Connection, find_connection, remember


def test_arguments_then_environment_then_what_was_remembered(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert find_connection(environment=environment) == Connection(DEFAULT_URL, None)
    key_file = tmp_path / "api-key"
    key_file.write_text("kept\n")
    remember("http://127.0.0.1:1234", key_file, environment)
    assert find_connection(environment=environment) == Connection("http://127.0.0.1:1234", "kept")
    environment |= {"TURNOUT_URL": "http://127.0.0.1:1234/", "TURNOUT_API_KEY": "said"}
    assert find_connection(environment=environment) == Connection("http://127.0.0.1:1234", "said")
    assert find_connection(environment=environment | {"TURNOUT_API_KEY": ""}).api_key == "kept"
    assert find_connection("http://x:1", "given", environment) == Connection("http://x:1", "given")


def test_a_remembered_key_goes_to_no_other_server(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    key_file = tmp_path / "api-key"
    key_file.write_text("kept")
    remember("http://127.0.0.1:1234", key_file, environment)
    assert find_connection("http://elsewhere", environment=environment).api_key is None


def test_a_lost_key_or_a_broken_record_is_as_good_as_none(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    remember("http://127.0.0.1:1234", tmp_path / "gone", environment)
    assert find_connection(environment=environment).api_key is None
    (tmp_path / "turnout" / "connection.json").write_text("[")
    assert find_connection(environment=environment) == Connection(DEFAULT_URL, None)
