from collections import Counter

from bench.chaos.stream import plan


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
