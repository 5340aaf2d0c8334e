"""Search text and questions: the same cut on both sides, nothing typed can be an error."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.store.search import ask, clean, fts5, search_body, tsquery, tsvector_body


def test_words_are_folded_and_cut() -> None:
    assert search_body("AT&T's ＦＵＬＬ-width, Größe", "3.5%") == "at t s full width größe 3 5"


def test_chinese_becomes_pairs_that_end_with_the_last_character() -> None:
    assert search_body("央行降息 Fed", "") == "央行 行降 降息 息 fed"


def test_a_question_has_words_phrases_and_minus() -> None:
    question = ask('bank "credit  default" -swap -"margin call" fin*')
    assert [(term.tokens, term.prefix) for term in question.wanted] == [
        (("bank",), False),
        (("credit", "default"), False),
        (("fin",), True),
    ]
    assert [term.tokens for term in question.unwanted] == [("swap",), ("margin", "call")]
    assert fts5(question) == '("bank" AND "credit default" AND "fin" *) NOT ("swap" OR "margin call")'
    assert tsquery(question) == (
        "('bank') & ('credit' <-> 'default') & ('fin':*) & !(('swap')) & !(('margin' <-> 'call'))"
    )


def test_a_question_of_signs_asks_nothing() -> None:
    for typed in ("", " ", '"', "***", "-", "() ^ :", "🎉"):
        assert not ask(typed)


def test_a_tsvector_names_each_word_with_its_places() -> None:
    assert tsvector_body("rates rise", "rates") == "'rates':1,3 'rise':2"


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.text(max_size=40))
def test_whatever_is_stored_or_typed_is_no_error_for_fts5(title: str, typed: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE search USING fts5(body, content='', tokenize='unicode61')")
        body = search_body(clean(title), "")
        connection.execute("INSERT INTO search (rowid, body) VALUES (1, ?)", (body,))
        question = ask(typed)
        if question.wanted:
            connection.execute("SELECT rowid FROM search WHERE search MATCH ?", (fts5(question),)).fetchall()
        connection.execute("INSERT INTO search (search, rowid, body) VALUES ('delete', 1, ?)", (body,))
        connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["bank", "运", "行", "银行", "credit", "X", "3"]), min_size=1, max_size=6))
def test_a_text_is_found_by_each_of_its_words(words: list[str]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE search USING fts5(body, content='', tokenize='unicode61')")
        connection.execute("INSERT INTO search (rowid, body) VALUES (1, ?)", (search_body(" ".join(words), ""),))
        for word in words:
            found = connection.execute("SELECT rowid FROM search WHERE search MATCH ?", (fts5(ask(word)),)).fetchall()
            assert found == [(1,)]
