"""Tables of what studies have cost, and of the shares that left for them.

Sees:     ids of projects and researchers, and masked shares: nothing of any child.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table

from node.store.schema import metadata

# A row for every share that may have left, and what it cost. One query has one row, for good.
charge = Table(
    "study_charge",
    metadata,
    Column("qid", LargeBinary(32), primary_key=True),  # SHA-256 of the query's payload
    Column("rh", LargeBinary(32), nullable=False),  # digest of the roster that it was masked for
    Column("project", String(32), nullable=False),
    Column("researcher", String(32), nullable=False),
    Column("nrho", BigInteger, nullable=False),  # nano-rho
    Column("time_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),  # when the query runs out
    Column("share", LargeBinary),  # as it left, until the query has run out
    Index("study_charge_project", "project", "researcher"),
    Index("study_charge_time", "time_ms"),
)

# A log that was begun anew lacks charges that were made after the copy it was restored from. Its budgets are
# closed until somebody has said what they were; that is a row here, and an entry in the log.
settled = Table(
    "study_settled",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # which log of this agency
    Column("time_ms", BigInteger, nullable=False),
)
