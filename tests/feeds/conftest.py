from __future__ import annotations

from collections.abc import Iterator

import pytest

from monitor.feeds.fetch import Fetcher
from monitor.feeds.parser import ParserPool
from tests.feeds import loopback


@pytest.fixture
def site() -> Iterator[loopback.Server]:
    with loopback.server() as running:
        yield running


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with loopback.fetcher() as made:
        yield made


@pytest.fixture(scope="session")
def parser() -> Iterator[ParserPool]:
    pool = ParserPool(workers=1, timeout_s=10.0)
    yield pool
    pool.close()
