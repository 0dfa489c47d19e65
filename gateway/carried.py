"""Documents that members hand on: newer ones than this gateway's own, signed in the folder of another.

Sees:     public documents, from members that cannot make them.
Refuses:  what the federation has not signed; an older roster or agreement than the one held, and a second one
          of the same version.
Promises: a gateway whose operator acted elsewhere is not behind for longer than it takes one member that is
          linked to both to say so; `elsewhere gateway` commands in its folder find the newest documents too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from elsewhere.agreement.document import open_agreement
from elsewhere.agreement.terms import Agreement
from elsewhere.errors import SignatureInvalid
from elsewhere.keyfiles import replace_file
from elsewhere.roster import Roster, check_successor, open_roster
from gateway.folder import AGREEMENT_FILE, ROSTER_FILE, alone, read_anchor, read_document

MAX_DOCUMENTS_BYTES: Final = 1_500_000  # both together; larger ones are copied by the operator


def take_documents(folder: Path, roster: bytes, agreement: bytes) -> tuple[int, int]:
    """Put newer documents in the gateway's folder, where it looks for changes. Blocks.

    Args:
        folder: the gateway's.
        roster: signed envelope; empty for none.
        agreement: signed envelope; empty for none.

    Returns:
        The versions of roster and agreement in the folder now; 0 for no agreement.

    Raises:
        SignatureInvalid, NotCanonical, DocumentInvalid: not this federation's. Nothing was changed.
        RosterRollback, RosterForked: not a roster that follows the one held. Nothing was changed.
    """
    if len(roster) + len(agreement) > MAX_DOCUMENTS_BYTES:
        raise SignatureInvalid(f"expected documents of at most {MAX_DOCUMENTS_BYTES} bytes together")
    public = read_anchor(folder).public
    with alone(folder):
        held = open_roster(read_document(folder / ROSTER_FILE), public)
        shown = _newer_roster(held, roster, public)
        agreed = _held_agreement(folder, public)
        following = open_agreement(agreement, [public]) if agreement else agreed
        if following is not None and (agreed is None or following.version > agreed.version):
            replace_file(folder / AGREEMENT_FILE, agreement)
            agreed = following
        if shown.version > held.version:
            replace_file(folder / ROSTER_FILE, roster)
    return shown.version, agreed.version if agreed is not None else 0


def _newer_roster(held: Roster, envelope: bytes, public: bytes) -> Roster:
    """The roster of an envelope, if it follows the one held; that one if there is none."""
    if not envelope:
        return held
    found = open_roster(envelope, public)
    check_successor(held, found)
    return found


def _held_agreement(folder: Path, public: bytes) -> Agreement | None:
    """The agreement in the folder, verified even though it is our own."""
    path = folder / AGREEMENT_FILE
    return open_agreement(path.read_bytes(), [public]) if path.exists() else None
