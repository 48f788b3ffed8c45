from collections import Counter

import pytest

from bench.chaos import inference_stream
from bench.chaos.models import CROPPED, UNKNOWN_WORD, WHOLE
from bench.chaos.stream import plan
from bench.chaos.streams import STREAMS, Length


def test_the_stream_is_mixed_as_promised_and_repeatable() -> None:
    stream = plan(10_000, seed=7)
    naps = Counter(one.spec["seconds"] for one in stream if one.kind == "take_nap")
    assert len(stream) == len({one.entry for one in stream}) == 10_000
    assert naps[30.0] == 10
    assert 60 <= naps[1.0] <= 140
    assert naps[0.01] > 9_700
    assert {one.kind for one in stream} == {
        "take_nap",
        "hold_interpreter",
        "spin_natively",
        "start_children",
        "keep_file",
        "eat_memory",
    }
    assert plan(10_000, seed=7) == stream
    assert plan(10_000, seed=8) != stream


def test_nobody_eats_memory_where_nobody_wants_it() -> None:
    assert not any(one.kind == "eat_memory" for one in plan(10_000, seed=7, eaters=False))


def test_inference_jobs_are_in_good_and_bad_company() -> None:
    stream = inference_stream.plan(3000, seed=7, memory_bytes=1 << 30)
    conducts = Counter(one.spec.get("conduct", "good") for one in stream)
    assert len(stream) == len({one.entry for one in stream}) == 3000
    assert conducts == {"good": 2961, "raise": 30, "linger": 6, "exit": 2, "eat": 1}
    fates = Counter(one.fate for one in stream)
    assert fates[inference_stream.SOUND] > 2800
    assert fates[inference_stream.REFUSED] == 30
    assert fates[inference_stream.BROKEN] == 60
    assert {one.spec["model"] for one in stream} == {WHOLE, CROPPED}
    assert sum(len(one.spec["texts"]) == 128 for one in stream if isinstance(one.spec["texts"], list)) == 60
    assert 60 < sum(one.cancel_after is not None for one in stream) < 250
    assert inference_stream.plan(3000, seed=7, memory_bytes=1 << 30) == stream
    assert inference_stream.plan(3000, seed=8, memory_bytes=1 << 30) != stream


def test_whose_inputs_are_sound_has_none_that_the_model_breaks_on() -> None:
    for one in inference_stream.plan(3000, seed=7, memory_bytes=1 << 30):
        breaks = UNKNOWN_WORD in str(one.spec["texts"])
        assert breaks == (one.fate is inference_stream.BROKEN and "conduct" not in one.spec)


def test_only_those_are_cancelled_without_whom_nothing_is_proved() -> None:
    """Who has to fail is left alone; who ignores a cancel gets one."""
    for one in inference_stream.plan(3000, seed=7, memory_bytes=1 << 30):
        if one.fate.must_fail:
            assert one.cancel_after is None
        if one.fate is inference_stream.LINGERER:
            assert one.cancel_after is not None


@pytest.mark.parametrize("name", STREAMS)
def test_each_stream_is_as_long_as_was_asked_for(name: str) -> None:
    stream = STREAMS[name].plan(Length(jobs=500, seed=3, eaters=False, long_seconds=12.0))
    kinds = {one.kind for one in stream}
    assert len(stream) == len({one.entry for one in stream}) == 500
    assert ("take_nap" in kinds) == (name in ("exclusive", "mixed"))
    assert ("embed_in_ledger" in kinds) == (name in ("inference", "mixed"))
    assert not any(one.kind == "eat_memory" or one.spec.get("conduct") == "eat" for one in stream)
