"""The tables of version 0.1.0. Frozen: what changed since is in the revisions after this one."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

revision = "0001"
down_revision = None

ROW_ID = BigInteger().with_variant(Integer, "sqlite")
_tables = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
meta = Table(
    "meta",
    _tables,
    Column("name", String(64), primary_key=True),
    Column("value", String(200), nullable=False),
)

load = Table(
    "load",
    _tables,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("source", String(64)),
    Column("state", String(16), nullable=False),
    Column("started_utc", BigInteger, nullable=False),
    Column("finished_utc", BigInteger),
    Column("rules", String(64)),
    sqlite_autoincrement=True,
)

source = Table(
    "source",
    _tables,
    Column("name", String(64), primary_key=True),
    Column("load_id", ForeignKey("load.id"), nullable=False),
    Column("format", String(16), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("read_utc", BigInteger, nullable=False),
    Column("loaded_utc", BigInteger, nullable=False),
    Column("max_age_days", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
)

record = Table(
    "record",
    _tables,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("load_id", ForeignKey("load.id"), nullable=False),
    Column("source", String(64), nullable=False),
    Column("person_ref", String(200), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("person", LargeBinary, nullable=False),
    Column("service", String(200), nullable=False),
    Column("status", String(8), nullable=False),
    Column("last_contact", Date),
    Column("flags", Text, nullable=False),
    Column("in_hours", String(200), nullable=False),
    Column("out_of_hours", String(200), nullable=False),
    Index("record_digest", "source", "digest"),
    sqlite_autoincrement=True,
)

member = Table(
    "member",
    _tables,
    Column("load_id", ForeignKey("load.id"), primary_key=True),
    Column("record_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("group_id", ROW_ID, nullable=False),
    Column("shield", String(16), nullable=False),
    Index("member_group", "load_id", "group_id"),
    sqlite_with_rowid=False,
)

standing_shield = Table(
    "standing_shield",
    _tables,
    Column("source", String(64), primary_key=True),
    Column("person_ref", String(200), primary_key=True),
    Column("shield", String(16), nullable=False),
    sqlite_with_rowid=False,
)

carried_shield = Table(
    "carried_shield",
    _tables,
    Column("source", String(64), primary_key=True),
    Column("person_ref", String(200), primary_key=True),
    Column("from_source", String(64), primary_key=True),
    Column("from_ref", String(200), primary_key=True),
    sqlite_with_rowid=False,
)

tag_set = Table(
    "tag_set",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("collection", String(32), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    UniqueConstraint("collection", "epoch"),
)

load_set = Table(
    "load_set",
    _tables,
    Column("load_id", ForeignKey("load.id"), primary_key=True),
    Column("set_id", ForeignKey("tag_set.id"), primary_key=True),
    sqlite_with_rowid=False,
)

tag = Table(
    "tag",
    _tables,
    Column("set_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("tag", LargeBinary(32), primary_key=True),
    Column("record_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("ordinal", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)

entry = Table(
    "entry",
    _tables,
    Column("set_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("short", LargeBinary(8), primary_key=True),
    Column("load_id", ROW_ID, nullable=False),
    sqlite_with_rowid=False,
)

question = Table(
    "question",
    _tables,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("searcher", String(32), nullable=False),
    Column("lookup_id", LargeBinary(16), nullable=False),
    Column("nonce", LargeBinary(16), nullable=False),
    Column("core", LargeBinary(32), nullable=False),
    Column("pseudonym", LargeBinary(32), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("counted", Boolean, nullable=False),
    Column("ruling", Text, nullable=False),
    Column("request", LargeBinary),
    Column("reply", LargeBinary),
    Column("redeem_digest", LargeBinary(32)),
    Column("redeem_reply", LargeBinary),
    UniqueConstraint("searcher", "nonce"),
    Index("question_lookup", "searcher", "lookup_id", "core"),
    Index("question_received", "received_ms"),
)

COUNTED = question.c.counted.is_(True)
_WHO, _WHEN = (question.c.searcher, question.c.pseudonym), question.c.received_ms
_AGENCY_RATE = Index("question_agency_rate", _WHO[0], _WHEN, sqlite_where=COUNTED, postgresql_where=COUNTED)
_PERSON_RATE = Index("question_person_rate", *_WHO, _WHEN, sqlite_where=COUNTED, postgresql_where=COUNTED)
_STANDS = question.c.request.is_not(None)
_KEPT = Index("question_kept", _WHEN, sqlite_where=_STANDS, postgresql_where=_STANDS)

log = Table(
    "log",
    _tables,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("call_reference", String(8), index=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

subject = Table(
    "subject",
    _tables,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("salt", LargeBinary(32), nullable=False),
    Column("records", Text, nullable=False),
)

asked = Table(
    "asked",
    _tables,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("lookup_id", String(32), nullable=False, index=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("custodian", String(32), nullable=False),
    Column("call_reference", String(8), index=True),
    Column("answer", LargeBinary, nullable=False),
)

opening = Table(
    "opening",
    _tables,
    Column("lookup_id", String(32), primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

waiting = Table(
    "waiting",
    _tables,
    Column("lookup_id", String(32), primary_key=True),
    Column("custodian", String(32), primary_key=True),
    Column("custodian_lookup_id", LargeBinary(16), nullable=False),
    Column("next_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
)

published = Table(
    "published",
    _tables,
    Column("collection", String(32), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("snapshot_version", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("seed", LargeBinary(32), nullable=False),
    Column("snapshot_key", LargeBinary(32), nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("granted", Text, nullable=False),
)

published_piece = Table(
    "published_piece",
    _tables,
    Column("collection", String(32), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("statement", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
)


def upgrade() -> None:
    """Make all tables in an empty database."""
    _tables.create_all(op.get_bind())
    op.bulk_insert(meta, [{"name": "schema_version", "value": "1"}])


def downgrade() -> None:
    """Drop all tables."""
    _tables.drop_all(op.get_bind())
