"""What was read from files and from the store, kept between reruns for all sessions together, and bounded in bytes.

The least recently used goes first; it is read again when its page asks again. What is kept is shared as it is, without
a copy, and must not be changed. Sessions that ask for the same thing at once read it once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

LIMIT: Final = 256 * 2**20
"""Bytes that are kept over all sessions."""

FORGOTTEN_S: Final = 1800.0
"""Seconds after its last use that a value is dropped: its session may have ended."""


class Held(Generic[T]):
    """size: bytes of a value. A value that is larger than the limit by itself is given and not kept."""

    def __init__(
        self,
        size: Callable[[T], int],
        limit: int = LIMIT,
        clock: Callable[[], float] = time.monotonic,
        forgotten_s: float = FORGOTTEN_S,
    ) -> None:
        self._size = size
        self._limit = limit
        self._clock = clock
        self._forgotten_s = forgotten_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[T, int, float]] = OrderedDict()
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
            if key in self._kept:
                return self._used(key)
            making = self._being_made.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    return self._used(key)
            try:
                value = make()
                self._keep(key, value)
            finally:
                with self._lock:
                    self._being_made.pop(key, None)
        return value

    def _used(self, key: Hashable) -> T:
        value, size, _ = self._kept.pop(key)
        self._kept[key] = (value, size, self._clock())
        return value

    def _keep(self, key: Hashable, value: T) -> None:
        size = self._size(value)
        with self._lock:
            if size <= self._limit and key not in self._kept:
                self._kept[key] = (value, size, self._clock())
                self._bytes += size
            while self._bytes > self._limit:
                self._drop(next(iter(self._kept)))

    def _forget(self) -> None:
        oldest = self._clock() - self._forgotten_s
        while self._kept and next(iter(self._kept.values()))[2] < oldest:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        self._bytes -= self._kept.pop(key)[1]
