"""Tables of what passes between this agency and others: questions answered, lookups asked, log, catalogues.

Sees:     pseudonyms, purposes, commitments and blinded elements; who was asked about only in `subject`, as
          ids of this agency's own records; whom this agency asked about only encrypted, in `opening`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from node.store.schema import metadata

# One row a question that another agency asked: nonce, limits, reply and single use all hang on it.
question = Table(
    "question",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # of the signed EvaluateRequest
    Column("searcher", String(32), nullable=False),
    Column("lookup_id", LargeBinary(16), nullable=False),
    Column("nonce", LargeBinary(16), nullable=False),
    Column("core", LargeBinary(32), nullable=False),  # what makes it the same question when asked again
    Column("pseudonym", LargeBinary(32), nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("counted", Boolean, nullable=False),  # false: refused, or asked again: fills no agreed limit
    Column("ruling", Text, nullable=False),  # canonical JSON of the decision
    Column("request", LargeBinary),  # the signed payload, until it can no longer be redeemed
    Column("reply", LargeBinary),  # sealed, for the same digest asked again, until then
    Column("redeem_digest", LargeBinary(32)),  # set by the one Redeem it is good for
    Column("redeem_reply", LargeBinary),
    Column("opened", BigInteger),  # the slots that its Redeem opened, slot n as 2**n; absent until redeemed
    UniqueConstraint("searcher", "nonce"),
    Index("question_lookup", "searcher", "lookup_id", "core", "received_ms"),
    Index("question_received", "received_ms"),
)

# What fills limits. Whoever counts writes it this way: engines use a partial index only for its very words.
COUNTED = question.c.counted.is_(True)
# Partial, so that no flood of questions that are refused makes counting the others slow.
_WHO, _WHEN = (question.c.searcher, question.c.pseudonym), question.c.received_ms
_AGENCY_RATE = Index("question_agency_rate", _WHO[0], _WHEN, sqlite_where=COUNTED, postgresql_where=COUNTED)
_PERSON_RATE = Index("question_person_rate", *_WHO, _WHEN, sqlite_where=COUNTED, postgresql_where=COUNTED)
_AGAIN = [question.c[name] for name in ("searcher", "lookup_id", "core")]
_COUNTED = Index("question_counted", *_AGAIN, _WHEN, sqlite_where=COUNTED, postgresql_where=COUNTED)
REDEEMED = question.c.redeem_digest.is_not(None)
_REDEEMED = Index(
    "question_redeemed", *_AGAIN, question.c.opened, sqlite_where=REDEEMED, postgresql_where=REDEEMED
)
_STANDS = question.c.request.is_not(None)
_KEPT = Index("question_kept", _WHEN, sqlite_where=_STANDS, postgresql_where=_STANDS)

# How many questions an agency asked in an hour: under no code all of them, under a code those that were
# refused for it and never redeemed, until they are logged.
tally = Table(
    "tally",
    metadata,
    Column("searcher", String(32), primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),  # since 1970, UTC
    Column("questions", BigInteger, nullable=False),
)

# Append-only: one row a Redeem answered or a lookup asked. Nothing is released before its row is durable.
# Numbered without gaps, from 1: an entry's number is one more than its place in the tree (`node.ledger`).
log = Table(
    "log",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    # "answered", "unredeemed", "review"; "asked", "told", "late"; "catalogue", "keys", "signing"; "owner":
    # whose it is; "begun": a witness is to sign it; "statement": keys that others hold otherwise
    Column("kind", String(16), nullable=False),
    Column("call_reference", String(8), index=True),
    Column("digest", LargeBinary(32), nullable=False),  # leaf hash of body
    Column("body", LargeBinary, nullable=False),  # canonical JSON
)

# Whom an "answered" entry was about. Its body holds only HMAC(salt, records), so that destroying this row
# erases the person from the log and breaks nothing in it.
subject = Table(
    "subject",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # of the log entry
    Column("salt", LargeBinary(32), nullable=False),
    Column("records", Text, nullable=False),  # JSON list of [source, person id there]; empty after a miss
)

# What this agency was told: the asker's history. The child is not in it. A late answer is a further row.
asked = Table(
    "asked",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("lookup_id", String(32), nullable=False, index=True),  # shown to the asker, hex
    Column("time_ms", BigInteger, nullable=False),
    Column("custodian", String(32), nullable=False),
    Column("call_reference", String(8), index=True),
    Column("answer", LargeBinary, nullable=False),  # AskAnswer of desk.proto, as it was shown
    Column("delete_ms", BigInteger),  # when it is deleted, as agreed; absent: nothing is agreed
)

# What opens a question to an auditor, and lets it be asked again: the person, salt and seed, encrypted.
opening = Table(
    "opening",
    metadata,
    Column("lookup_id", String(32), primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# Custodians that could not be reached in time and are asked again until the urgency's window ends, and those
# where a person decides.
waiting = Table(
    "waiting",
    metadata,
    Column("lookup_id", String(32), primary_key=True),
    Column("custodian", String(32), primary_key=True),
    Column("custodian_lookup_id", LargeBinary(16), nullable=False),  # the same question, so the same id
    Column("next_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("for_review", Boolean, nullable=False, server_default=false()),
)

# The newest state of each catalogue that this agency publishes; the tags themselves are in an encrypted file.
published = Table(
    "published",
    metadata,
    Column("collection", String(32), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("snapshot_version", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("seed", LargeBinary(32), nullable=False),  # of the padding; committed to in the statement
    Column("snapshot_key", LargeBinary(32), nullable=False),
    Column("statement", LargeBinary, nullable=False),  # DSSE envelope of the newest version
    Column("granted", Text, nullable=False),  # JSON: agency id -> sealing key id its grant was sealed to
    # What every process states to those who ask; it never goes back. Absent before anything could be fetched.
    Column("stated_version", BigInteger),
    Column("stated_root", LargeBinary(32)),
    # The newest load whose tags are all in the version stated.
    Column("stated_load", BigInteger, nullable=False, server_default="0"),
    # The term of the process that made the snapshot (`lease.number`), which is in the name of its file;
    # 0: made by a version without terms.
    Column("snapshot_term", BigInteger, nullable=False, server_default="0"),
)

# The newest snapshot and every delta since, as published: a gateway that lacks one is sent the same bytes.
published_piece = Table(
    "published_piece",
    metadata,
    Column("collection", String(32), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("statement", LargeBinary, nullable=False),  # DSSE envelope of this version
    Column("ciphertext", LargeBinary, nullable=False),  # of a delta; empty: a snapshot's tags are in a file
)
