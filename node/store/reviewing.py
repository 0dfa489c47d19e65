"""Tables of questions that a person of this agency decides about, or looks at after they were asked.

Sees:     envelopes of questions of others: purposes and pseudonyms; of own ones asker and reason. No child.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, String, Table, Text

from node.store.schema import metadata

# A row for every question of the last ten minutes, so that one under review costs what any other does. Those
# that a person is to decide about stay until that has lapsed.
review = Table(
    "review",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # of the signed EvaluateRequest
    Column("key", LargeBinary(32), nullable=False),  # what makes it the same question when asked again
    Column("received_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # "none", "open", "released", "refused"
    Column("until_ms", BigInteger, nullable=False),  # until when it may be decided, or a release be used
    Column("facts", Text, nullable=False),  # canonical JSON: who asked and why, by which clause
    Column("used_by", LargeBinary(16)),  # the lookup id that a release was used for; absent: not used yet
    Column("expected_ms", BigInteger),  # when a decision is expected; absent: when it lapses
    Index("review_key", "key", "received_ms"),
    Index("review_until", "state", "until_ms"),
)

# Messages to the duty desk, by their entry in the log, which says what was told. One row for every answer, so
# that one with a message costs what any other does; those that are none are dropped within a minute.
notice = Table(
    "notice",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # of the log entry
    Column("time_ms", BigInteger, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Index("notice_open", "is_open", "time_ms"),
)

# Questions that this agency asked on the asker's own word, until a second person has looked at them. The log
# keeps what they found.
second_look = Table(
    "second_look",
    metadata,
    Column("lookup_id", String(32), primary_key=True),
    Column("asker", String(200), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
)
