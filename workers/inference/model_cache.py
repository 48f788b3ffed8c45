"""The models that a runner has loaded: as many as fit, those used last."""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from tasks.contracts import JobContext
from tasks.errors import JobOutOfMemory
from workers.inference.attention import Attention
from workers.inference.errands import Errands
from workers.inference.errors import DeviceOutOfMemory
from workers.memory import in_words

_LOOK_SECONDS = 0.2
_LONGEST_LACK_SECONDS = 30.0

Model = TypeVar("Model")


@dataclass(frozen=True)
class Held:
    """A loaded model, by the name that people know it by."""

    name: str
    bytes: int


@dataclass(eq=False)
class _Place:
    """A model that is loaded, or just being loaded: then there is no ``model``, and ``bytes`` is what it may take. Who
    loads it counts as one of the users."""

    name: str
    bytes: int
    model: Any = None
    users: int = 0
    used_at: float = 0.0


@dataclass(frozen=True, eq=False)
class _Waiter:
    key: Hashable
    since: float


class ModelCache:
    """Keeps models up to ``most_bytes``, and none that was not used for ``idle``. Safe to use from several threads: two
    that ask for the same model share one load, and a model in use stays."""

    def __init__(
        self,
        most_bytes: int,
        idle: timedelta,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[Sequence[Held]], None] = lambda _held: None,
    ) -> None:
        """``on_change`` gets what is loaded whenever that changes, with the lock held."""
        self._most_bytes = most_bytes
        self._idle = idle
        self._clock = clock
        self._on_change = on_change
        self._changed = threading.Condition()
        self._places: dict[Hashable, _Place] = {}
        self._loads = Errands()
        # Who has no room, in the order in which they came.
        self._lack_room: list[_Waiter] = []

    @contextmanager
    def using(
        self,
        key: Hashable,
        job: JobContext,
        *,
        name: str,
        needs_bytes: int,
        load: Callable[[], Model],
        held_bytes: Callable[[Model], int],
    ) -> Iterator[Model]:
        """The model, loaded unless it is there already. ``needs_bytes`` is what it is expected to take.

        Waits for room that models in use will free. Raises ``JobOutOfMemory`` for a model that never fits, what
        ``load`` raises, and ``JobCancelled`` and the like for a job that is to end; a load goes on without it.
        """
        started = self._clock()
        place, is_new = self._reserve(key, job, name, needs_bytes)
        try:
            if is_new:
                self._loads.result(place, lambda: self._fill(key, place, load, held_bytes), job)
            job.measured("load_seconds", round(self._clock() - started, 4))
            job.measured("model_loads", int(is_new))
            job.measured("model_hits", int(not is_new))
            job.measured("model_bytes", place.bytes)
            yield place.model
        finally:
            self._leave(place)

    def held(self) -> Sequence[Held]:
        """What is loaded."""
        with self._changed:
            return self._held()

    def unload_idle(self) -> None:
        """Drop what was not used for a while."""
        with self._changed:
            long_ago = self._clock() - self._idle.total_seconds()
            for key, place in list(self._places.items()):
                if not place.users and place.used_at <= long_ago:
                    self._drop(key)

    def _reserve(self, key: Hashable, job: JobContext, name: str, needs_bytes: int) -> tuple[_Place, bool]:
        """The model's place with one more user, and whether it has to be loaded by the caller."""
        with self._changed:
            waiter = _Waiter(key, self._clock())
            try:
                while True:
                    reserved = None if self._has_to_stand_back(waiter) else self._try(key, name, needs_bytes)
                    if reserved is not None:
                        return reserved
                    if key not in self._places and waiter not in self._lack_room:
                        self._lack_room.append(waiter)
                    self._changed.wait(_LOOK_SECONDS)
                    Attention(job).look()
            finally:
                if waiter in self._lack_room:
                    self._lack_room.remove(waiter)
                    self._changed.notify_all()

    def _try(self, key: Hashable, name: str, needs_bytes: int) -> tuple[_Place, bool] | None:
        """None if the model is just being loaded, or has no room at present."""
        place = self._places.get(key)
        if place is not None and place.model is not None:
            place.users += 1
            return place, False
        if place is None and self._make_room(name, needs_bytes):
            place = self._places[key] = _Place(name, needs_bytes, users=2)
            return place, True
        return None

    def _has_to_stand_back(self, waiter: _Waiter) -> bool:
        """Whether somebody has waited so long for room, which those that come and go would never leave it."""
        first = self._lack_room[0] if self._lack_room else waiter
        has_waited = self._clock() - first.since >= _LONGEST_LACK_SECONDS
        return has_waited and first.key != waiter.key and first.key not in self._places

    def _leave(self, place: _Place) -> None:
        with self._changed:
            place.users -= 1
            place.used_at = self._clock()
            self._changed.notify_all()

    def _make_room(self, name: str, needs_bytes: int) -> bool:
        """Drop what was not used longest until there is room; False if what is in use takes too much at present."""
        if needs_bytes > self._most_bytes:
            raise self._too_large(name, needs_bytes)
        in_use = sum(place.bytes for place in self._places.values() if place.users)
        if in_use + needs_bytes > self._most_bytes:
            return False
        while self._held_bytes() + needs_bytes > self._most_bytes:
            self._drop(self._used_longest_ago())
        return True

    def _fill(
        self, key: Hashable, place: _Place, load: Callable[[], Model], held_bytes: Callable[[Model], int]
    ) -> None:
        """Outside of the lock, since it takes long."""
        try:
            model = self._load(place, load)
        except BaseException:
            with self._changed:
                del self._places[key]
                self._changed.notify_all()
            raise
        with self._changed:
            place.model, place.bytes = model, held_bytes(model)
            while self._held_bytes() > self._most_bytes and (longest := self._unused()):
                self._drop(longest[0])
            self._on_change(self._held())
        self._leave(place)

    def _load(self, place: _Place, load: Callable[[], Model]) -> Model:
        try:
            return load()
        except DeviceOutOfMemory:
            with self._changed:
                for key in self._unused():
                    self._drop(key)
        try:
            return load()
        except DeviceOutOfMemory as exc:
            raise JobOutOfMemory(
                f"The model {place.name} needs about {in_words(place.bytes)}, and the device has no room for it "
                f"({exc}). Use a smaller model or a larger device."
            ) from exc

    def _too_large(self, name: str, needs_bytes: int) -> JobOutOfMemory:
        held = sum(place.bytes for place in self._places.values())
        return JobOutOfMemory(
            f"The model {name} needs about {in_words(needs_bytes)}; this runner may keep "
            f"{in_words(self._most_bytes)} of models, of which {in_words(max(0, self._most_bytes - held))} are free. "
            "Use a smaller model, or give the worker more (TURNOUT_MODEL_MEMORY)."
        )

    def _unused(self) -> list[Hashable]:
        """Those that nobody uses, the one that was used longest ago first."""
        unused = [(place.used_at, key) for key, place in self._places.items() if not place.users]
        return [key for _, key in sorted(unused, key=lambda one: one[0])]

    def _used_longest_ago(self) -> Hashable:
        return self._unused()[0]

    def _held_bytes(self) -> int:
        return sum(place.bytes for place in self._places.values())

    def _held(self) -> Sequence[Held]:
        return [Held(place.name, place.bytes) for place in self._places.values() if place.model is not None]

    def _drop(self, key: Hashable) -> None:
        del self._places[key]
        self._on_change(self._held())
        self._changed.notify_all()
