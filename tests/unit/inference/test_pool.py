"""Whose items make the next batch."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.inference.pool import Batch, Group, Item, Limits, Member, Pool

GROUP = Group("a model")


def compute(values: object) -> object:
    raise AssertionError("nothing is computed here")


def pool_of(token_budget: int = 100, most_items: int = 8, free_tokens: int = 0) -> Pool:
    return Pool(Limits(token_budget, most_items, free_tokens))


def add(pool: Pool, *lengths: int, group: Group = GROUP) -> Member:
    return pool.add(group, [Item(f"{length} tokens", length) for length in lengths], compute)  # type: ignore[arg-type]


def next_batch(pool: Pool, seconds: float = 1.0) -> Batch:
    """Take out the next batch and let the device take so long for it."""
    batch = pool.next_batch()
    assert batch is not None
    pool.served(batch, seconds)
    return batch


def lengths_of(batch: Batch) -> list[int]:
    return sorted(entry.item.tokens for entry in batch.entries)


def test_nothing_waits_and_nothing_comes() -> None:
    pool = pool_of()
    assert pool.next_batch() is None
    add(pool)
    assert pool.next_batch() is None


def test_items_of_like_length_go_together_longest_first() -> None:
    pool = pool_of(token_budget=100, most_items=8)
    add(pool, 5, 40, 6, 39, 5)
    assert lengths_of(next_batch(pool)) == [39, 40]
    assert lengths_of(next_batch(pool)) == [5, 5, 6]


def test_a_batch_keeps_within_its_tokens_with_the_padding() -> None:
    pool = pool_of(token_budget=100)
    add(pool, 30, 30, 30, 30, 25)
    assert lengths_of(next_batch(pool)) == [30, 30, 30]


def test_what_is_longer_than_the_budget_goes_alone() -> None:
    pool = pool_of(token_budget=100)
    add(pool, 500, 500)
    assert lengths_of(next_batch(pool)) == [500]
    assert lengths_of(next_batch(pool)) == [500]


def test_short_ones_of_any_length_fill_what_costs_nothing() -> None:
    pool = pool_of(free_tokens=64)
    add(pool, 2, 8, 16)
    assert lengths_of(next_batch(pool)) == [2, 8, 16]


def test_a_large_job_does_not_keep_small_ones_waiting() -> None:
    pool = pool_of(token_budget=80, most_items=8)
    add(pool, *[10] * 1000)
    next_batch(pool)
    small = [add(pool, 10) for _ in range(4)]
    batch = next_batch(pool)
    assert {entry.member for entry in batch.entries} >= set(small)


def test_small_jobs_of_all_lengths_get_their_turn_before_a_large_one() -> None:
    pool = pool_of(token_budget=4000, most_items=4)
    large = add(pool, *range(1, 1001))
    next_batch(pool)
    small = {add(pool, length) for length in (2, 50, 400, 990)}
    served: set[Member] = set()
    for _ in range(len(small) + 1):
        served |= {entry.member for entry in next_batch(pool).entries}
    assert small < served
    assert large.waiting


def test_groups_share_the_device_by_its_time_not_by_batches() -> None:
    pool = pool_of(token_budget=10, most_items=1)
    slow, quick = Group("slow"), Group("quick")
    add(pool, *[1] * 100, group=slow)
    add(pool, *[1] * 100, group=quick)
    counted = {"slow": 0, "quick": 0}
    for _ in range(40):
        batch = pool.next_batch()
        assert batch is not None
        name = str(batch.group.key)
        pool.served(batch, 3.0 if name == "slow" else 1.0)
        counted[name] += 1
    assert counted == {"slow": 10, "quick": 30}


def test_who_comes_late_has_saved_up_no_turns() -> None:
    pool = pool_of(token_budget=10, most_items=1)
    early = add(pool, *[1] * 100)
    for _ in range(50):
        next_batch(pool)
    late = add(pool, *[1] * 100)
    members = [next_batch(pool).entries[0].member for _ in range(20)]
    assert abs(members.count(early) - members.count(late)) <= 1


def test_a_withdrawn_job_s_items_are_not_computed() -> None:
    pool = pool_of()
    first, second = add(pool, 5, 5), add(pool, 5)
    pool.withdraw(first)
    assert [entry.member for entry in next_batch(pool).entries] == [second]
    assert len(pool) == 0


def test_what_did_not_fit_is_remembered_when_the_group_was_away() -> None:
    pool = pool_of(token_budget=80, most_items=8)
    add(pool, *[10] * 8)
    batch = pool.next_batch()
    assert batch is not None
    pool.did_not_fit(batch)
    assert len(pool) == 0
    add(pool, *[10] * 8)
    assert lengths_of(next_batch(pool)) == [10] * 4
    add(pool, *[10] * 8, group=Group("another model"))
    assert sorted(len(next_batch(pool).entries) for _ in range(2)) == [4, 8]


@pytest.mark.parametrize("own", [Group("small", token_budget=20, most_items=8), Group("few", most_items=2)])
def test_a_group_may_have_smaller_batches_of_its_own(own: Group) -> None:
    pool = pool_of(token_budget=80)
    add(pool, *[10] * 8, group=own)
    assert lengths_of(next_batch(pool)) == [10, 10]


@settings(deadline=None, max_examples=150)
@given(
    jobs=st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=20), min_size=1, max_size=8),
    withdrawn=st.sets(st.integers(0, 7)),
    free_tokens=st.sampled_from([0, 30]),
)
def test_each_item_is_computed_once_within_the_limits(
    jobs: list[list[int]], withdrawn: set[int], free_tokens: int
) -> None:
    pool = pool_of(token_budget=100, most_items=6, free_tokens=free_tokens)
    members = [add(pool, *lengths, group=Group(number % 2)) for number, lengths in enumerate(jobs)]
    for number in withdrawn & set(range(len(members))):
        pool.withdraw(members[number])
    computed: list[tuple[Member, int]] = []
    while (batch := pool.next_batch()) is not None:
        pool.served(batch, 0.5)
        assert len(batch.entries) <= 6
        assert len(batch.entries) == 1 or batch.padded_tokens <= 100
        assert {entry.member.group.key for entry in batch.entries} == {batch.group.key}
        computed += [(entry.member, entry.index) for entry in batch.entries]
    expected = [
        (member, index)
        for number, member in enumerate(members)
        if number not in withdrawn
        for index in range(len(jobs[number]))
    ]
    assert sorted(computed, key=lambda one: (members.index(one[0]), one[1])) == expected
    assert len(pool) == 0
