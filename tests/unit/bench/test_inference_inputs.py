"""What goes through the columns of bench.inference, and how the best setting of a library is found."""

from collections.abc import Sequence

import pytest

from bench.inference_parts.best_setting import best_setting, thread_counts
from bench.inference_parts.texts import alike, texts


@pytest.mark.parametrize("words", [15, 40])
def test_texts_have_the_wanted_length_on_average(words: int) -> None:
    lengths = [len(text.split()) for text in texts(4000, words)]
    assert sum(lengths) / len(lengths) == pytest.approx(words, rel=0.05)
    assert (min(lengths), max(lengths)) == (3, 4 * words)


def test_every_column_gets_the_same() -> None:
    assert texts(20, 15) == texts(30, 15)[:20]
    assert {len(text.split()) for text in alike(20, 15)} == {15}


def test_the_best_setting_computes_everything_once_more() -> None:
    clock = [0.0]
    calls: list[tuple[int, int, int]] = []

    def compute(given: Sequence[int], batch_size: int, threads: int) -> None:
        calls.append((len(given), batch_size, threads))
        clock[0] += len(given) * (1.0 if batch_size == 16 else 2.0)

    rate, how = best_setting(range(4000), (8, 16, 32), compute, clock=lambda: clock[0])
    assert rate == 1.0
    assert how.startswith("batches of 16")
    assert calls[-1][:2] == (4000, 16)
    assert {call[:2] for call in calls[:-1]} == {(256, 8), (500, 8), (500, 16), (500, 32)}
    assert len(calls) == len(thread_counts()) * 4 + 1
