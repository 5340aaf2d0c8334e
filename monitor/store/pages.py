"""The full text of articles: which pages are to be read, and what was found on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from monitor.domain import Article
from monitor.store.articles import ArticlesPart, article_columns, article_of
from monitor.store.schema import article_pages, articles
from monitor.store.search import clean
from monitor.store.values import us

_FRESH = timedelta(hours=48)  # older pages are not read: a desk that turns this on does not fetch its whole past
_ATTEMPTS = 3
_FIRST_WAIT = timedelta(hours=1)


class PagesPart(ArticlesPart):
    def pages_due(self, publishers: Sequence[str] | None, now: datetime, limit: int) -> list[Article]:
        """Fresh articles of feeds whose page was not read yet, newest first. publishers: only theirs; None: all."""
        a, p = articles.c, article_pages.c
        again = p.text.is_(None) & (p.attempts < _ATTEMPTS) & (p.due <= us(now))
        query = (
            article_columns()
            .outerjoin(article_pages, p.article_id == a.id)
            .where(
                a.first_seen >= us(now - _FRESH),
                a.published >= us(now - _FRESH),
                a.feed_id.is_not(None),
                a.url.is_not(None),
                ~a.sample,
                or_(p.article_id.is_(None), again),
            )
            .order_by(a.first_seen.desc(), a.id.desc())
            .limit(limit)
        )
        if publishers is not None:
            query = query.where(self.among(a.publisher, publishers))
        with self.read() as connection:
            return [article_of(row) for row in connection.execute(query)]

    def save_page(self, article_id: int, text: str | None, error: str | None, now: datetime) -> None:
        """Keep the text of an article's page and make it searchable; or, with None, why there is none: it is tried
        three times. The article itself stays as it is either way."""
        a, p = articles.c, article_pages.c
        with self.write(ingest=True) as connection:
            row = connection.execute(select(a.id, a.position, a.title, a.summary).where(a.id == article_id)).first()
            if row is None:  # let go meanwhile
                return
            attempts = connection.execute(select(p.attempts).where(p.article_id == article_id)).scalar() or 0
            values = {
                "text": None if text is None else clean(text),
                "attempts": attempts + 1,
                "due": us(now + _FIRST_WAIT * 2**attempts),
                "error": error,
            }
            rows = [(row.id, row.position, row.title, row.summary)]
            if text is not None:
                self._unindex(connection, rows)
            upsert = self.insert(article_pages).values(article_id=article_id, **values)
            connection.execute(upsert.on_conflict_do_update(index_elements=["article_id"], set_=values))
            if text is not None:
                self._index(connection, self._with_pages(connection, rows))

    def full_text(self, article_id: int) -> str | None:
        """The text of the article's page; None when it was not read, or held none."""
        with self.read() as connection:
            query = select(article_pages.c.text).where(article_pages.c.article_id == article_id)
            found = connection.execute(query).scalar()
        return None if found is None else str(found)
