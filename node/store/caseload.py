"""Tables of the caseload: what was loaded, the records, their groups, and the tags others may meet.

Holds:    persons in the clear, in `record.person` alone; everything else is coded or derived.
Promises: nothing of a load is visible before its row in `load` says DONE. Rows staged by a load that was
          killed carry its id, are read by nobody, and are swept by the next load.

A record's row never changes. What is visible is what `member` lists for the newest load that
is DONE, so a reload writes new rows beside the old ones, one small transaction after another, and then
switches over in a single row: a running node is never kept from its log for longer than a batch.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from node.store.schema import metadata

STAGING, DONE, ABANDONED = "STAGING", "DONE", "ABANDONED"
# The status of a record that says only how a person was written before. It sorts behind CURRENT and PAST, so
# that it speaks for no child.
FORMER = "WAS"
# SQLite's rowid is an INTEGER and nothing else; other engines need the wider type by its own name.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

# One row a load, whatever became of it. The newest DONE id is what a running node polls.
load = Table(
    "load",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("source", String(64)),  # absent: no export was read, all held records were tagged anew
    Column("state", String(16), nullable=False),
    Column("started_utc", BigInteger, nullable=False),  # seconds since 1970
    Column("finished_utc", BigInteger),  # seconds since 1970; absent while STAGING
    Column("rules", String(64)),  # version of the match keys its records are tagged by; absent while STAGING
    sqlite_autoincrement=True,  # an id is never given twice, or rows of a dead load could come alive
)

# The newest complete load of each source.
source = Table(
    "source",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("load_id", ForeignKey("load.id"), nullable=False),
    Column("format", String(16), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the file
    Column("read_utc", BigInteger, nullable=False),  # when the export was made, seconds since 1970
    Column("loaded_utc", BigInteger, nullable=False),  # when it was loaded, seconds since 1970
    Column("max_age_days", Integer, nullable=False),
    Column("rows", Integer, nullable=False),  # rows in force
    Column("refused", Integer, nullable=False),
)

record = Table(
    "record",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=True),
    Column("load_id", ForeignKey("load.id"), nullable=False),  # the load that wrote this row
    Column("source", String(64), nullable=False),
    Column("person_ref", String(200), nullable=False),  # the source's own id for the person
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of all that is stored of the row
    Column("person", LargeBinary, nullable=False),  # canonical JSON of elsewhere.person
    Column("service", String(200), nullable=False),
    Column("status", String(8), nullable=False),  # CURRENT, PAST or FORMER
    Column("last_contact", Date),
    Column("flags", Text, nullable=False),  # JSON list of [code, start, end]
    Column("in_hours", String(200), nullable=False),
    Column("out_of_hours", String(200), nullable=False),
    Index("record_digest", "source", "digest"),
    sqlite_autoincrement=True,
)

# The caseload as of one load, over all sources: which records count, their child, and its shield.
member = Table(
    "member",
    metadata,
    Column("load_id", ForeignKey("load.id"), primary_key=True),
    # No foreign key: deleting a record would search every load's members for it.
    Column("record_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("group_id", ROW_ID, nullable=False),  # one child: the smallest record id among its records
    Column("shield", String(16), nullable=False),  # the strictest of the group
    Column("kept_until", Date),  # the first day on which it is not kept; absent: none is known
    Index("member_group", "load_id", "group_id"),
    sqlite_with_rowid=False,
)

# The persons under a shield. It outlasts reloads: a row that stops mentioning it does not lift it.
standing_shield = Table(
    "standing_shield",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("person_ref", String(200), primary_key=True),
    Column("shield", String(16), nullable=False),
    sqlite_with_rowid=False,
)

# Whose records a location shield covers beside those of the person it was set for: the same child's in any
# source. It outlasts that person's rows, or a child would be shown when a source ceases to speak of it.
carried_shield = Table(
    "carried_shield",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("person_ref", String(200), primary_key=True),
    Column("from_source", String(64), primary_key=True),
    Column("from_ref", String(200), primary_key=True),
    sqlite_with_rowid=False,
)

# A short name for (collection, epoch), so that millions of tags need not repeat it, and the key of its tags.
# To a node that holds another key, or where no digest is known, they are no tags at all.
tag_set = Table(
    "tag_set",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("collection", String(32), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("key_digest", LargeBinary(32)),  # SHA-256 of the public key; absent: made before it was kept
    UniqueConstraint("collection", "epoch"),
)

# The sets in which every record in force with a load is tagged, as far as its shield permits. The next load
# tags these records in no other set than those that are missing here.
load_set = Table(
    "load_set",
    metadata,
    Column("load_id", ForeignKey("load.id"), primary_key=True),
    Column("set_id", ForeignKey("tag_set.id"), primary_key=True),
    sqlite_with_rowid=False,
)

tag = Table(
    "tag",
    metadata,
    Column("set_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("tag", LargeBinary(32), primary_key=True),
    Column("record_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("ordinal", SmallInteger, nullable=False),  # index into record_keys(person, with_postcode)
    sqlite_with_rowid=False,
)

# What the catalogue of a set shows: every short tag ever loaded in its epoch. Removing a record leaves its
# entries, as a short tag that vanishes would tell others that something was erased or shielded.
entry = Table(
    "entry",
    metadata,
    Column("set_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("short", LargeBinary(8), primary_key=True),
    Column("load_id", ROW_ID, nullable=False),  # the load that added it
    sqlite_with_rowid=False,
)
