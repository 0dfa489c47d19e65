"""That a member states the same keys to all: others' machines say which of its statements they hold.

Sees:     key statements held, and signed notes with times.
Refuses:  notes of another form, or that no active member has signed.
Promises: whoever shows two members two statements of one version is found out once the one's note reaches the
          other. A note is its signer's word about a digest, and the statement of that digest proves it.
Source:   docs/keys.md, "Statements are compared"; C2SP tlog-checkpoint and tlog-cosignature, with the
          statement's version for the size and its digest for the root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from elsewhere.clock import CLOCK_TOLERANCE, to_ms
from elsewhere.freshness import SIGNERS
from elsewhere.roster import AGENCY_ID, Roster
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement
from elsewhere.transparency.checkpoint import Checkpoint, stated_in
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.note import Verifier, cosign_text, open_note
from elsewhere.transparency.witnesses import witness_name

MAX_NOTES: Final = 100  # statements in one exchange, one an agency
MAX_NOTE: Final = 1024  # bytes, of a note with its signer's line alone


@dataclass(frozen=True, slots=True)
class Told:
    """What active members say that they hold of one agency."""

    agency: str
    checkpoint: Checkpoint  # version and digest of the statement
    times: dict[str, int]  # by member: when it said so, POSIX seconds


def statement_checkpoint(federation: str, statement: KeyStatement) -> Checkpoint:
    """Say which statement it is."""
    return Checkpoint(f"{federation}/{statement.agency}/statement", statement.version, statement.digest)


def sign_held(statement: KeyStatement, by: tuple[str, str, SigningKey], now: datetime) -> bytes:
    """Make the note with which a member says what it holds.

    Args:
        statement: held.
        by: federation, the member's agency id, its signing key.
        now: aware UTC time.
    """
    federation, me, key = by
    text = statement_checkpoint(federation, statement).to_text()
    return f"{text}\n{cosign_text(text, witness_name(federation, me), key, to_ms(now) // 1000)}".encode()


def open_told(note: bytes, roster: Roster, by: str = "") -> Told:
    """Read what members say that they hold.

    Args:
        note: as it came.
        roster: in force; lines of others than its active members count for nothing.
        by: the one member whose line counts; empty for all.

    Raises:
        NoteInvalid: not over a member's statement, not signed by an active member, or a line fails.
    """
    by_name = {witness_name(roster.federation, m.agency_id): m for m in roster.active_members()}
    by_name = {name: m for name, m in by_name.items() if m.agency_id == by} if by else by_name
    verifiers = [Verifier(name, member.signing_key, is_witness=True) for name, member in by_name.items()]
    found = open_note(note, verifiers)
    checkpoint = stated_in(note.decode("utf-8"))
    named = re.fullmatch(rf"{re.escape(roster.federation)}/({AGENCY_ID})/statement", checkpoint.origin)
    if named is None or roster.member(named[1]) is None:
        raise NoteInvalid("expected a note over a member's key statement; it is over something else")
    times = {by_name[signed.by.name].agency_id: signed.at_s or 0 for signed in found.signed}
    return Told(named[1], checkpoint, times)


def compared_at(
    told: Iterable[Told], held: KeyStatement, roster: Roster, me: str, now: datetime
) -> int | None:
    """Say by when enough others had seen a statement as it is held here.

    Args:
        told: what members say of that agency.
        held: its statement.
        roster: in force.
        me: this agency. Neither its own word counts nor that of whoever made the statement.
        now: aware UTC time; what is said of later counts for nothing.

    Returns: POSIX seconds; None if too few have. Two are enough, or all there are.
    """
    others = {m.agency_id for m in roster.active_members()} - {me, held.agency}
    latest, mine = to_ms(now + CLOCK_TOLERANCE) // 1000, statement_checkpoint(roster.federation, held)
    times = [
        at_s
        for one in told
        if one.checkpoint == mine
        for name, at_s in one.times.items()
        if name in others and at_s <= latest
    ]
    needed = min(SIGNERS, len(others))
    if needed == 0:
        return latest
    return sorted(times, reverse=True)[needed - 1] if len(times) >= needed else None
