"""What can't work is refused with a sentence that names what is wrong, never with a Java stack."""

from pathlib import Path

import pytest

from tests.acceptance.automl import submit_automl
from turnout import Client
from turnout.errors import Invalid
from turnout.records import File


def refused(client: Client, dataset: File, **changes: object) -> str:
    """The sentence that a job fails with."""
    record = submit_automl(client, dataset, **changes).wait(60)
    assert (record.state, record.reason, record.attempt) == ("failed", "invalid_input", 1)
    assert record.error is not None
    sentence = str(record.error["message"])
    assert "Exception" not in sentence
    assert "hex." not in sentence
    return sentence


def test_a_missing_target_is_named(client: Client, circle: File) -> None:
    sentence = refused(client, circle, target="z")
    assert "'z'" in sentence or '"z"' in sentence
    assert "x1" in sentence


def test_a_missing_feature_is_named(client: Client, circle: File) -> None:
    assert "x9" in refused(client, circle, features=["x1", "x9"])


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\xff" * 100, b"x1,x2,y\n", b"x1,x2,y\n1,2,3\n4,5\n" * 40])
def test_a_file_that_is_no_table_is_refused(client: Client, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert refused(client, client.upload(path))


def test_unknown_options_are_named(client: Client, circle: File) -> None:
    with pytest.raises(Invalid) as refusal:
        submit_automl(client, circle, max_modles=3)
    assert "max_modles" in str(refusal.value.errors) + str(refusal.value)


def test_values_out_of_range_are_named(client: Client, circle: File) -> None:
    with pytest.raises(Invalid) as refusal:
        submit_automl(client, circle, max_models=-1)
    assert "max_models" in str(refusal.value.errors) + str(refusal.value)


def test_another_file_s_id_is_refused(client: Client) -> None:
    with pytest.raises(Invalid):
        client.submit("train_automl", {"dataset": {"file": "no-such-file"}, "target": "y"})
