"""What was read from files and from the store, kept between reruns for all sessions together, and bounded in bytes.

The least recently used goes first; it is read again when its page asks again. What is kept is shared as it is, without
a copy, and must not be changed. Sessions that ask for the same thing at once read it once.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

LIMIT: Final = 256 * 2**20
"""Bytes that are kept over all sessions."""

FORGOTTEN_S: Final = 1800.0
"""Seconds after its last use that a value is dropped: its session may have ended."""


class _Value(NamedTuple, Generic[T]):
    value: T
    size: int
    made: float
    used: float


class Held(Generic[T]):
    """size: bytes of a value. A value that is larger than the limit by itself is given and not kept. lasts_s: seconds
    after which a value is made again."""

    def __init__(
        self,
        size: Callable[[T], int],
        limit: int = LIMIT,
        clock: Callable[[], float] = time.monotonic,
        lasts_s: float = math.inf,
    ) -> None:
        self._size = size
        self._limit = limit
        self._clock = clock
        self._lasts_s = lasts_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Value[T]] = OrderedDict()
        self._being_made: dict[Hashable, threading.Lock] = {}
        self._bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of the key, made when it is not there. Raises what `make` raises; nothing is kept then, and who
        waited for it tries by themselves."""
        with self._lock:
            self._forget()
            if (found := self._found(key)) is not None:
                return found.value
            making = self._being_made.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if (found := self._found(key)) is not None:
                    return found.value
            try:
                value = make()
                self._keep(key, value)
            finally:
                with self._lock:
                    self._being_made.pop(key, None)
        return value

    def _found(self, key: Hashable) -> _Value[T] | None:
        found, now = self._kept.get(key), self._clock()
        if found is None:
            return None
        if now - found.made > self._lasts_s:
            self._drop(key)
            return None
        self._kept[key] = found._replace(used=now)
        self._kept.move_to_end(key)
        return found

    def _keep(self, key: Hashable, value: T) -> None:
        size, now = self._size(value), self._clock()
        with self._lock:
            if size <= self._limit and key not in self._kept:
                self._kept[key] = _Value(value, size, now, now)
                self._bytes += size
            while self._bytes > self._limit:
                self._drop(next(iter(self._kept)))

    def _forget(self) -> None:
        oldest = self._clock() - min(FORGOTTEN_S, self._lasts_s)
        while self._kept and next(iter(self._kept.values())).used < oldest:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        self._bytes -= self._kept.pop(key).size
