"""Computes the items of many jobs in batches, one after the other, on the one device of a runner."""

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tasks.contracts import JobContext
from tasks.errors import JobCancelled, JobError, JobHandedBack, JobOutOfMemory, JobStoppedEmpty
from workers.inference.errors import DeviceLost, DeviceOutOfMemory, end_process
from workers.inference.pool import Batch, Compute, Entry, Group, Item, Limits, Member, Pool

__all__ = ["Batcher", "Group", "Item", "Limits"]

_LOOK_SECONDS = 0.2
_SAY_EVERY_SECONDS = 1.0

Output = TypeVar("Output")


@dataclass(eq=False)
class _Share:
    """One job's items on their way through the device."""

    outputs: list[Any]
    left: int
    asked_at: float
    error: Exception | None = None
    withdrawn: bool = False
    begun_at: float | None = None
    device_seconds: float = 0.0
    batches: float = 0.0
    sizes: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def count(self, entry: Entry, batch: Batch, seconds: float) -> None:
        """Take part of what the batch cost."""
        size = len(batch.entries)
        self.device_seconds += seconds / size
        self.batches += 1 / size
        self.sizes += size
        self.tokens += entry.item.tokens
        self.padded_tokens += batch.padded_tokens // size


class Batcher:
    """Jobs call ``run`` from threads of their own; one thread has the device."""

    def __init__(
        self,
        limits: Limits,
        *,
        wait_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        on_device_lost: Callable[[], None] | None = None,
    ) -> None:
        """``wait_seconds`` is how long a batch that is not full waits for more; with 0 it begins as soon as the device
        is idle. ``on_device_lost``, for a device that answers no more or whose thread broke down, ends the process
        unless another one is given."""
        self._pool = Pool(limits)
        self._wait_seconds = wait_seconds
        self._clock = clock
        self._on_device_lost = on_device_lost or end_process
        self._changed = threading.Condition()
        self._shares: dict[Member, _Share] = {}
        self._computing: Sequence[Entry] = ()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """How many items wait."""
        with self._changed:
            return len(self._pool)

    def start(self) -> None:
        """Have a thread compute what ``run`` brings."""
        self._thread = threading.Thread(target=self._loop, name="device", daemon=True)
        self._thread.start()

    def run(
        self, job: JobContext, group: Group, items: Sequence[Item], compute: Callable[[Sequence[Any]], Sequence[Output]]
    ) -> Sequence[Output]:
        """What ``compute`` makes of each item's value, in their order.

        ``compute`` gets the values of a batch and returns an output for each; of jobs of one group it is any one's.
        What it raises fails the job of the item that it can't compute alone. Raises ``JobCancelled``,
        ``JobStoppedEmpty``, ``JobHandedBack`` for a job whose worker ends before its first item is begun, and
        ``JobOutOfMemory`` for an item that does not fit alone.
        """
        if not items:
            return []
        member, share = self._add(group, items, compute)
        try:
            self._await(job, share)
        finally:
            self._forget(member, share)
        _tell(job, share)
        if share.error is not None:
            raise share.error
        return share.outputs

    def withdrawn(self) -> Sequence[bool]:
        """For ``compute``: for each item of the present batch, whether nobody wants it any more."""
        with self._changed:
            return [self._gone(entry) for entry in self._computing]

    def step(self) -> bool:
        """Compute one batch in the calling thread; False if nothing waits."""
        with self._changed:
            batch = self._pool.next_batch()
            if batch is None:
                return False
            self._begin(batch)
        self._compute(batch)
        return True

    def _loop(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._pool))
                    if self._wait_seconds:
                        self._changed.wait(self._wait_seconds)
                self.step()
        except BaseException:  # noqa: BLE001 - without this thread every job would wait for ever, and panics are of this kind
            traceback.print_exc()
            self._on_device_lost()

    def _add(self, group: Group, items: Sequence[Item], compute: Compute) -> tuple[Member, _Share]:
        share = _Share([None] * len(items), len(items), self._clock())
        with self._changed:
            member = self._pool.add(group, items, compute)
            self._shares[member] = share
            self._changed.notify_all()
        return member, share

    def _await(self, job: JobContext, share: _Share) -> None:
        said_at = time.monotonic()
        while not share.ended.wait(_LOOK_SECONDS):
            match job.should_stop():
                case "cancel":
                    raise JobCancelled("The job was cancelled.")
                case "stop":
                    raise JobStoppedEmpty("The job was stopped; a part of its outputs is not kept.")
            if job.should_hand_back() and share.begun_at is None:
                raise JobHandedBack("The worker ends, and none of the job's items was begun.")
            if time.monotonic() - said_at > _SAY_EVERY_SECONDS:
                said_at = time.monotonic()
                total = len(share.outputs)
                job.progress(1 - share.left / total, f"{total - share.left} of {total} computed")

    def _forget(self, member: Member, share: _Share) -> None:
        with self._changed:
            share.withdrawn = True
            self._pool.withdraw(member)
            del self._shares[member]

    def _begin(self, batch: Batch) -> None:
        now = self._clock()
        for entry in batch.entries:
            share = self._shares[entry.member]
            share.begun_at = now if share.begun_at is None else share.begun_at

    def _compute(self, batch: Batch) -> None:
        """Compute a batch that was taken out, or what is left of it: in halves where it can't be done at once."""
        batch = self._wanted(batch)
        if not batch.entries:
            return
        started = self._clock()
        try:
            outputs = batch.group.compute([entry.item.value for entry in batch.entries])
            if len(outputs) != len(batch.entries):
                raise JobError(f"The model gave {len(outputs)} outputs for {len(batch.entries)} inputs.")
        except DeviceLost:
            traceback.print_exc()
            self._on_device_lost()
        except DeviceOutOfMemory as exc:
            with self._changed:
                self._pool.did_not_fit(batch)
            self._apart(batch, _does_not_fit(batch, exc))
        except JobError as exc:
            self._apart(batch, exc)
        except Exception as exc:  # noqa: BLE001 - whatever a library raises: only the job whose item it is may fail
            if len(batch.entries) == 1:
                traceback.print_exc()
            self._apart(
                batch, JobError(f"Computing an item failed with {type(exc).__name__}; the worker's log says more.")
            )
        else:
            self._deliver(batch, outputs, self._clock() - started)

    def _wanted(self, batch: Batch) -> Batch:
        with self._changed:
            entries = [entry for entry in batch.entries if not self._gone(entry)]
            self._computing = entries
        return Batch(batch.group, entries)

    def _gone(self, entry: Entry) -> bool:
        share = self._shares.get(entry.member)
        return share is None or share.error is not None

    def _apart(self, batch: Batch, error: Exception) -> None:
        """Go on with each half; an item that is left alone fails its job."""
        middle = len(batch.entries) // 2
        if middle:
            self._compute(Batch(batch.group, batch.entries[:middle]))
            self._compute(Batch(batch.group, batch.entries[middle:]))
            return
        (entry,) = batch.entries
        with self._changed:
            share = self._shares.get(entry.member)
            if share is not None:
                share.error = error
                self._pool.withdraw(entry.member)
                share.ended.set()

    def _deliver(self, batch: Batch, outputs: Sequence[Any], seconds: float) -> None:
        with self._changed:
            self._pool.served(batch, seconds)
            for entry, output in zip(batch.entries, outputs, strict=True):
                share = self._shares.get(entry.member)
                if share is None:
                    continue
                share.outputs[entry.index] = output
                share.left -= 1
                share.count(entry, batch, seconds)
                if not share.left:
                    share.ended.set()


def _does_not_fit(batch: Batch, error: DeviceOutOfMemory) -> JobOutOfMemory:
    tokens = batch.padded_tokens
    return JobOutOfMemory(
        f"One input of {tokens} tokens needs more memory than there is ({error or 'the device did not say how much'}); "
        "make it shorter, or use a smaller model or a larger device."
    )


def _tell(job: JobContext, share: _Share) -> None:
    computed = len(share.outputs) - share.left
    if not computed or share.begun_at is None:
        return
    job.measured("batch_size", round(share.sizes / computed))
    job.measured("batches", round(share.batches, 4))
    job.measured("inputs", computed)
    job.measured("tokens", share.tokens)
    job.measured("padded_tokens", share.padded_tokens)
    job.measured("padding_share", round(1 - share.tokens / share.padded_tokens, 4) if share.padded_tokens else 0.0)
    job.measured("batch_wait_seconds", round(share.begun_at - share.asked_at, 4))
    job.measured("device_seconds", round(share.device_seconds, 4))
