"""Tables of what the processes of one node agree on: which of them leads, and which there are.

Sees:     the names of processes; nothing of a question, a record or a key.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, String, Table

from node.store.schema import metadata

LEAD: Final = "lead"

# One row: who leads. Whoever leads changes `beat` again and again; a number is never given twice.
lease = Table(
    "lease",
    metadata,
    Column("name", String(16), primary_key=True),  # LEAD
    Column("holder", String(32), nullable=False),  # a process's name; empty: given up in good order
    Column("number", BigInteger, nullable=False),  # of this term; every later term has a higher one
    Column("beat", BigInteger, nullable=False),
)

# One row a process that runs, or did lately.
process = Table(
    "process",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("seen_ms", BigInteger, nullable=False),  # by its own clock
    Column("is_linked", Boolean, nullable=False),
    Column("is_ready", Boolean, nullable=False),
    Column("has_ended", Boolean, nullable=False),  # in good order
)
