"""The first schema."""

from alembic import op

from monitor.store.schema import APPLICATION_ID, metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    metadata.create_all(bind)
    op.execute("INSERT INTO counters (name, value) VALUES ('data_version', 1)")
    if bind.dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def _sqlite() -> None:
    op.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    op.execute("INSERT INTO counters (name, value) VALUES ('article_id', 0)")
    op.execute("CREATE VIRTUAL TABLE article_search USING fts5(body, content='', tokenize='unicode61')")
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )


def _postgresql() -> None:
    op.execute("CREATE SEQUENCE article_id")
    op.execute("CREATE TABLE article_search (article_id bigint PRIMARY KEY, position bigint NOT NULL, body tsvector)")
    op.execute("CREATE INDEX article_search_body ON article_search USING gin (body)")
    op.execute("CREATE INDEX article_search_position ON article_search (position)")
    op.execute(
        "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_append_only()"
    )
    op.execute(
        "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    )
