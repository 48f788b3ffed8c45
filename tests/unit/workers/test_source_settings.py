from pathlib import Path

import pytest

from workers.placement import source_settings
from workers.settings import WorkerSettings


def test_where_models_may_come_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TURNOUT_HOME", str(tmp_path))
    monkeypatch.setenv("TURNOUT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("TURNOUT_MODELS_ALLOW", "org/*, dir:*")
    monkeypatch.setenv("TURNOUT_MODELS_TRUSTED", "")
    monkeypatch.setenv("TURNOUT_MODELS_DISK", "2GB")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    monkeypatch.setenv("TURNOUT_HUB_TOKEN", "hf_secret")
    assert source_settings(WorkerSettings()) == {
        "models": str(tmp_path / "models"),
        "models_allow": ["org/*", "dir:*"],
        "models_trusted": [],
        "models_disk": 2_000_000_000,
        "model_cache": str(tmp_path / "cache" / "models"),
        "offline": True,
        "hub_endpoint": "https://mirror.example",
        "hub_token": "hf_secret",
    }


def test_without_settings_all_models_are_allowed_and_only_the_operators_are_trusted() -> None:
    settings = source_settings(WorkerSettings())
    assert (settings["models_allow"], settings["models_trusted"], settings["offline"]) == (None, ["dir:*"], False)
