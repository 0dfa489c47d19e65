"""What is in force in a gateway's folder: roster, the chain that leads to it, agreement; read and written.

Sees:     signed documents, each verified again whenever it is read, even though it is our own.
Promises: what is written in this order can be broken off anywhere: the chain, the roster, the agreement. A
          gateway that looks in between sees a roster that it can follow, and an agreement of that roster's
          stewards.
"""

from __future__ import annotations

from pathlib import Path

from elsewhere.agreement.document import open_agreement
from elsewhere.agreement.terms import Agreement
from elsewhere.errors import ConfigInvalid
from elsewhere.keyfiles import replace_file
from elsewhere.roster import Roster
from elsewhere.succession import Succession, chain_from_bytes, chain_to_bytes, open_succession
from gateway.folder import AGREEMENT_FILE, CHAIN_FILE, ROSTER_FILE, read_anchor, read_document


def read_succession(directory: Path) -> Succession:
    """Read the roster in force, verified from the anchor on.

    Raises:
        ConfigInvalid: there is none yet: the stewards have not signed the first one.
        SignatureInvalid, RosterForked, RosterRollback, RosterGap, DocumentInvalid: a file was changed.
    """
    anchor = read_anchor(directory)
    if not (directory / ROSTER_FILE).exists():
        raise ConfigInvalid(
            f"expected {ROSTER_FILE} in the gateway's folder; have the first proposal signed by the stewards,"
            " then run 'elsewhere gateway enact'"
        )
    return open_succession(anchor, read_chain(directory), read_document(directory / ROSTER_FILE))


def read_chain(directory: Path) -> tuple[bytes, ...]:
    """Read the chain as it stands in its file, not verified yet; empty if there is none."""
    path = directory / CHAIN_FILE
    return chain_from_bytes(path.read_bytes()) if path.exists() else ()


def read_agreement(directory: Path, roster: Roster) -> tuple[bytes, Agreement] | None:
    """Read the agreement in force and its envelope; None if there is none yet.

    Raises:
        SignatureInvalid, NotCanonical, DocumentInvalid: the file was changed, or too few of these stewards
            have signed it.
    """
    try:
        envelope = (directory / AGREEMENT_FILE).read_bytes()
    except FileNotFoundError:
        return None
    return envelope, open_agreement(envelope, roster)


def put_in_force(directory: Path, succession: Succession, agreement: bytes | None) -> None:
    """Write a roster and an agreement that were verified; a gateway that runs shows them at once."""
    replace_file(directory / CHAIN_FILE, chain_to_bytes(succession.chain))
    replace_file(directory / ROSTER_FILE, succession.envelope)
    if agreement is not None:
        replace_file(directory / AGREEMENT_FILE, agreement)
