"""The items that wait for a device, and which of them make the next batch.

Whose turn it is goes by the device's time: the member that has had the least of it comes first, and its longest item
is joined by items of about the same length, first one of each member, then further ones. So a large job can't keep
small ones waiting, and little is padded. A member that arrives starts with what the present ones have had, so that
nobody saves up turns.
"""

import bisect
import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

# Lengths that differ by less than this factor, or by so few tokens, may share a batch.
_ALIKE_FACTOR, _ALIKE_TOKENS = 1.2, 3
# So many candidates for one place are compared.
_CANDIDATES = 4

Compute = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True)
class Item:
    """One input: what the model gets, and its length, which is what padding is counted in."""

    value: Any
    tokens: int = 1


@dataclass(frozen=True)
class Group:
    """What may share a batch: jobs with an equal ``key`` (model, revision, kind and parameters).

    A batch has at most ``most_items`` items, and ``token_budget`` tokens with its padding; the longest item alone may
    have more. None: the batcher's own limits.
    """

    key: Hashable
    token_budget: int | None = None
    most_items: int | None = None


@dataclass(frozen=True)
class Limits:
    """How large a batch may be. Up to ``free_tokens`` a batch takes no longer for its padding."""

    token_budget: int
    most_items: int
    free_tokens: int = 0

    def halved(self, tokens: int, items: int) -> "Limits":
        """For a device that had no room for so much."""
        budget = min(self.token_budget, max(1, tokens // 2))
        return Limits(budget, min(self.most_items, max(1, items // 2)), min(self.free_tokens, budget))


@dataclass(eq=False)
class Member:
    """One job's items in a group. ``served_seconds`` is its share of the device's time so far, from a start that it
    did not choose."""

    group: "Waiting"
    served_seconds: float
    waiting: list[tuple[int, int, "Entry"]] = field(default_factory=list)


@dataclass(eq=False)
class Entry:
    """One waiting item; ``number`` is its place in the order of arrival."""

    member: Member
    index: int
    item: Item
    number: int

    @property
    def key(self) -> tuple[int, int, "Entry"]:
        # The number is unique, so that two entries are never compared.
        return self.item.tokens, self.number, self


@dataclass(eq=False)
class Waiting:
    """One group's waiting items, shortest first. It is there only while some wait: ``compute`` holds a model."""

    key: Hashable
    compute: Compute
    limits: Limits
    entries: list[tuple[int, int, Entry]] = field(default_factory=list)


@dataclass(frozen=True)
class Batch:
    """Items that are computed together."""

    group: Waiting
    entries: Sequence[Entry]

    @property
    def padded_tokens(self) -> int:
        return len(self.entries) * max(entry.item.tokens for entry in self.entries)


class Pool:
    """Not safe to use from several threads."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._groups: dict[Hashable, Waiting] = {}
        self._learned: dict[Hashable, Limits] = {}
        self._members: set[Member] = set()
        self._numbers = itertools.count()
        self._served_seconds = 0.0

    def __len__(self) -> int:
        return sum(len(group.entries) for group in self._groups.values())

    def add(self, group: Group, items: Sequence[Item], compute: Compute) -> Member:
        """Let a job's items wait."""
        waiting = self._groups.get(group.key)
        if waiting is None:
            waiting = Waiting(group.key, compute, self._limits_of(group))
        member = Member(waiting, min((one.served_seconds for one in self._members), default=self._served_seconds))
        for index, item in enumerate(items):
            entry = Entry(member, index, item, next(self._numbers))
            bisect.insort(waiting.entries, entry.key)
            bisect.insort(member.waiting, entry.key)
        if member.waiting:
            self._groups[group.key] = waiting
            self._members.add(member)
        return member

    def withdraw(self, member: Member) -> None:
        """Let none of its items be computed that is not being computed already."""
        for entry in [entry for _, _, entry in member.waiting]:
            self._take(entry)

    def next_batch(self) -> Batch | None:
        """Take out what is to be computed next; None if nothing waits."""
        if not self._members:
            return None
        first = min(self._members, key=lambda member: (member.served_seconds, member.waiting[0][1]))
        chosen = self._choose(first.group, first.waiting[-1][2])
        for entry in chosen:
            self._take(entry)
        return Batch(first.group, chosen)

    def served(self, batch: Batch, seconds: float) -> None:
        """Note how long the device took for a batch: each item is charged for its place in it."""
        share = seconds / len(batch.entries)
        for entry in batch.entries:
            entry.member.served_seconds += share
        self._served_seconds = max(self._served_seconds, *(entry.member.served_seconds for entry in batch.entries))

    def did_not_fit(self, batch: Batch) -> None:
        """The device had no room for a batch: those of its group are at most half as large from now on."""
        group = batch.group
        group.limits = group.limits.halved(batch.padded_tokens, len(batch.entries))
        self._learned[group.key] = group.limits

    def _limits_of(self, group: Group) -> Limits:
        budget = group.token_budget or self._limits.token_budget
        most_items = group.most_items or self._limits.most_items
        own = Limits(budget, most_items, min(self._limits.free_tokens, budget))
        return self._learned.get(group.key, own)

    def _take(self, entry: Entry) -> None:
        member, group = entry.member, entry.member.group
        del member.waiting[bisect.bisect_left(member.waiting, entry.key)]
        del group.entries[bisect.bisect_left(group.entries, entry.key)]
        if not member.waiting:
            self._members.discard(member)
        if not group.entries:
            self._groups.pop(group.key, None)

    def _choose(self, group: Waiting, anchor: Entry) -> Sequence[Entry]:
        """The anchor, and what goes with it."""
        near = self._near(group, anchor)
        chosen = [anchor, *_by_turns([one for one in near if one is not anchor and _alike(one, anchor)])]
        chosen = _fitting(chosen, group.limits.token_budget, group.limits.most_items)
        if _padded(chosen) < group.limits.free_tokens:
            taken = set(chosen)
            further = sorted((one for one in near if one not in taken), key=lambda one: _distance(one, anchor))
            chosen = _fitting([*chosen, *further], group.limits.free_tokens, group.limits.most_items)
        return chosen

    def _near(self, group: Waiting, anchor: Entry) -> Sequence[Entry]:
        """The entries around it in length, nearest first."""
        place = bisect.bisect_left(group.entries, anchor.key)
        reach = _CANDIDATES * group.limits.most_items
        around = [entry for _, _, entry in group.entries[max(0, place - reach) : place + reach]]
        return sorted(around, key=lambda one: (_distance(one, anchor), one.number))


def _distance(one: Entry, other: Entry) -> int:
    return abs(one.item.tokens - other.item.tokens)


def _alike(one: Entry, other: Entry) -> bool:
    shorter, longer = sorted((one.item.tokens, other.item.tokens))
    return longer <= max(shorter * _ALIKE_FACTOR, shorter + _ALIKE_TOKENS)


def _by_turns(near: Sequence[Entry]) -> Sequence[Entry]:
    """One of each member, then the second ones, and so on; those who had the least come first."""
    counted: dict[Member, int] = {}
    turns = []
    for entry in near:
        turn = counted[entry.member] = counted.get(entry.member, 0) + 1
        turns.append((turn, entry.member.served_seconds, entry.number, entry))
    return [entry for *_, entry in sorted(turns, key=lambda turn: turn[:3])]


def _padded(entries: Sequence[Entry]) -> int:
    return len(entries) * max(entry.item.tokens for entry in entries)


def _fitting(entries: Sequence[Entry], token_budget: int, most_items: int) -> list[Entry]:
    """The first one, and those that follow as long as they fit; what would be too long is passed over."""
    chosen, longest = [entries[0]], entries[0].item.tokens
    for entry in entries[1:]:
        if len(chosen) == most_items:
            break
        with_it = max(longest, entry.item.tokens)
        if (len(chosen) + 1) * with_it <= token_budget:
            chosen.append(entry)
            longest = with_it
    return chosen
