"""Documents that members hand on: newer ones than this gateway's own, put in force in the folder of another.

Sees:     public documents, from members that cannot make them.
Refuses:  what the stewards have not signed; an older roster or agreement than the one held, and a second one
          of the same version.
Promises: a gateway whose operator acted elsewhere is not behind for longer than it takes one member that is
          linked to both to say so; `elsewhere gateway` commands in its folder find the newest documents too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from elsewhere.agreement.document import join_signatures, open_agreement
from elsewhere.agreement.terms import Agreement
from elsewhere.errors import SignatureInvalid
from elsewhere.roster import Roster
from gateway.folder import alone
from gateway.inforce import put_in_force, read_agreement, read_succession

MAX_DOCUMENTS_BYTES: Final = 1_500_000  # all together; larger ones are copied by the operator


def take_documents(
    folder: Path, roster: bytes, agreement: bytes, chain: Sequence[bytes] = ()
) -> tuple[int, int]:
    """Put newer documents in the gateway's folder, where it looks for changes. Blocks.

    Args:
        folder: the gateway's.
        roster: signed envelope; empty for none.
        agreement: signed envelope; empty for none.
        chain: rosters that changed the stewards, for a gateway that missed some.

    Returns:
        The versions of roster and agreement in the folder now; 0 for no agreement.

    Raises:
        SignatureInvalid, NotCanonical, DocumentInvalid: not this federation's. Nothing was changed.
        RosterRollback, RosterForked, RosterGap: not a roster that follows the one held. Nothing was changed.
    """
    if len(roster) + len(agreement) + sum(map(len, chain)) > MAX_DOCUMENTS_BYTES:
        raise SignatureInvalid(f"expected documents of at most {MAX_DOCUMENTS_BYTES} bytes together")
    with alone(folder):
        held = read_succession(folder)
        shown = held.follow(roster, chain) if roster else held
        envelope, agreed = _agreed(folder, held.roster, shown.roster, agreement)
        if shown is not held or envelope is not None:
            put_in_force(folder, shown, envelope)
    return shown.roster.version, agreed.version if agreed is not None else 0


def _agreed(
    folder: Path, held: Roster, shown: Roster, envelope: bytes
) -> tuple[bytes | None, Agreement | None]:
    """What is to be written of the agreement, None for nothing; and what is in force then."""
    try:
        before = read_agreement(folder, held)
    except SignatureInvalid:
        before = (
            None  # its stewards were replaced since; the one that comes is to be signed by their successors
        )
    in_force = before[1] if before is not None else None
    if not envelope:
        return None, in_force
    following = open_agreement(envelope, shown)
    if before is None or in_force is None or following.version > in_force.version:
        return envelope, following
    if following.digest != in_force.digest:
        return None, in_force
    # The same, which other stewards may have signed since.
    joined = join_signatures(following, [before[0], envelope], shown)
    return (joined if joined != before[0] else None), in_force
