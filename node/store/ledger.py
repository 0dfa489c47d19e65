"""Tables of the tree over the log: its edge, the hashes kept of it, and the checkpoints signed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from node.store.schema import metadata

# One row: how many entries the log has, and the complete subtrees that they make, the largest first.
edge = Table(
    "log_edge",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("size", BigInteger, nullable=False),
    Column("hashes", LargeBinary, nullable=False),  # of 32 bytes each
    # Which log of this agency it is: 0 for the first, else when it was begun anew, POSIX time.
    Column("number", BigInteger, nullable=False, server_default="0"),
)

# Complete subtrees of the levels that are kept above the leaves, which are `log.digest`.
tile = Table(
    "log_tile",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),  # a subtree has 2**level leaves
    Column("place", BigInteger, primary_key=True, autoincrement=False),  # at that level, from 0
    Column("hash", LargeBinary(32), nullable=False),
)

# What this log has stated of itself, with the lines of those who have seen it so.
checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("witnesses", Integer, nullable=False, server_default="0"),  # how many of those asked have seen it
)

# The logs of others that this agency watches: as seen last, and the checkpoint that fitted it least.
watched = Table(
    "watched_log",
    metadata,
    Column("agency", String(32), primary_key=True),
    Column("note", Text, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("other_note", Text),
    Column("other_ms", BigInteger),
    Column("other_event", String(16)),  # what was wrong with it; absent beside one of before this was kept
)

# Every checkpoint of others that this agency has signed, once each: these signatures draw which of their
# lookups an auditor opens, so that whoever made those has no say in which signatures there are.
witnessed = Table(
    "witnessed",
    metadata,
    Column("agency", String(32), primary_key=True),  # whose log
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("at_s", BigInteger, nullable=False),  # when it was signed, POSIX time
    Column("note", Text, nullable=False),  # what the log signed, and this agency's line
)

# The same of logs that their agency has begun anew since: whoever begins one is still drawn by these.
witnessed_before = Table(
    "witnessed_before",
    metadata,
    Column("agency", String(32), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # which of its logs
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("at_s", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)
