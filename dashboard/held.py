"""What was read from files, kept between reruns for all sessions together, and bounded in bytes.

The least recently used goes first; it is read again when its page asks again, as long as the file is in its uploader.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
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
    ) -> None:
        self._size = size
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[T, int, float]] = OrderedDict()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        return self._bytes

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of the key, made when it is not there. Raises what `make` raises; nothing is kept then."""
        with self._lock:
            self._forget()
            found = self._kept.pop(key, None)
            if found is not None:
                self._kept[key] = (found[0], found[1], self._clock())
                return found[0]
        value = make()
        size = self._size(value)
        with self._lock:
            if size <= self._limit and key not in self._kept:
                self._kept[key] = (value, size, self._clock())
                self._bytes += size
            while self._bytes > self._limit:
                self._drop(next(iter(self._kept)))
        return value

    def _forget(self) -> None:
        oldest = self._clock() - FORGOTTEN_S
        while self._kept and next(iter(self._kept.values()))[2] < oldest:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        self._bytes -= self._kept.pop(key)[1]
