"""Parsing in processes that can be killed: a few hostile kilobytes can hold a parser for minutes.

Every document goes to the pool. There is no quick way past it, because no check cheap enough to run in the worker
itself can promise that feedparser will be done with a document in time.
"""

from __future__ import annotations

import multiprocessing
import resource
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import lru_cache
from typing import TypeVar

import feedparser
import feedparser.mixin
from pebble import ProcessExpired, ProcessPool

from monitor.domain import Fetched, ParsedFeed
from monitor.errors import FeedError
from monitor.feeds.documents import parse_document

Parsed = ParsedFeed | FeedError
_Made = TypeVar("_Made")


class ParserPool:
    """Processes that parse; each is stopped after `timeout_s` on one document, and renewed after many.

    pages: the pool is to read web pages too, so what that needs is loaded before a process starts.
    """

    def __init__(
        self,
        workers: int = 2,
        timeout_s: float = 5.0,
        memory_mb: int = 768,
        documents: int = 500,
        pages: bool = False,
    ) -> None:
        self._workers, self._timeout_s, self._memory_mb, self._documents = workers, timeout_s, memory_mb, documents
        self._preload = ["monitor.feeds.documents", *(["monitor.feeds.pages"] if pages else [])]
        self._pool: ProcessPool | None = None
        self._starting = threading.Lock()

    def parse(self, fetched: Fetched) -> ParsedFeed:
        """Raises `FeedError`: `not_a_feed`, or `parser` when the document stopped the parser."""
        return self._wait(_parse, fetched)

    def text_of(self, fetched: Fetched) -> str:
        """The article on a web page. Raises `FeedError`: `not_a_page`, or `parser` as for a feed."""
        return self._wait(_text_of, fetched)

    def submit(self, fetched: Fetched, done: Callable[[Parsed], None]) -> None:
        """Parse in the background; `done` is called once, from a thread of the pool."""
        self._schedule(_parse, fetched, done)

    def _wait(self, task: Callable[[bytes, str, str], _Made], fetched: Fetched) -> _Made:
        done: Future[_Made | FeedError] = Future()
        self._schedule(task, fetched, done.set_result)
        made = done.result()
        if isinstance(made, FeedError):
            raise made
        return made

    def _schedule(
        self, task: Callable[[bytes, str, str], _Made], fetched: Fetched, done: Callable[[_Made | FeedError], None]
    ) -> None:
        try:
            future: Future[_Made] = self._started().schedule(
                task, args=(fetched.body, fetched.content_type, fetched.url), timeout=self._timeout_s
            )
        except RuntimeError as error:  # the pool broke (a process could not be started): the next call makes another
            done(FeedError(f"the parser could not be started ({type(error).__name__})", kind="parser"))
            return

        def ended(finished: Future[_Made]) -> None:
            outcome = self._outcome(finished)
            done(outcome)

        future.add_done_callback(ended)

    def close(self) -> None:
        with self._starting:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()

    def _started(self) -> ProcessPool:
        with self._starting:
            if self._pool is not None and not self._pool.active:
                self._pool = None
            if self._pool is None:
                # Not fork: the fetcher's thread may hold locks at that moment. The server forks from a clean process.
                context = multiprocessing.get_context("forkserver")
                context.set_forkserver_preload(self._preload)
                self._pool = ProcessPool(
                    max_workers=self._workers,
                    max_tasks=self._documents,
                    context=context,
                    initializer=_prepare,
                    initargs=[self._memory_mb],
                )
            return self._pool

    def _outcome(self, future: Future[_Made]) -> _Made | FeedError:
        try:
            return future.result()
        except FeedError as error:
            return error
        except FutureTimeout:
            return FeedError(f"the document held the parser for {self._timeout_s:g} s and was stopped", kind="parser")
        except ProcessExpired:
            return FeedError("the document ended the parser process", kind="parser")
        except Exception as error:  # whatever a document makes the parser raise is the document's fault
            return FeedError(f"the parser failed on the document: {type(error).__name__}", kind="parser")


def _prepare(megabytes: int) -> None:
    limit = megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    # feedparser joins a document's address with itself again for each element, a seventh of its time. Joining two
    # strings is a pure function, so its last answers are kept.
    for name in ("make_safe_absolute_uri", "_urljoin"):
        if (join := getattr(feedparser.mixin, name, None)) is not None:
            setattr(feedparser.mixin, name, lru_cache(maxsize=256)(join))


def _parse(body: bytes, content_type: str, url: str) -> ParsedFeed:
    return parse_document(body, content_type, url)


def _text_of(body: bytes, content_type: str, url: str) -> str:
    from monitor.feeds.pages import page_text  # heavy, and most deployments read no pages

    return page_text(body, content_type, url)
