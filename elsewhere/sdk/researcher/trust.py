"""What a researcher believes of the federation: documents verified from the anchor on, never older ones.

Sees:     public documents, from a gateway that may withhold them but cannot make them.
Refuses:  another federation's, a roster or agreement that its stewards have not signed, and any rollback; a
          refused document changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from elsewhere.agreement.document import check_newer_agreement, open_agreement
from elsewhere.agreement.terms import Agreement
from elsewhere.anchor import Federation
from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.errors import EnrolmentRefused, SignatureInvalid
from elsewhere.keyfiles import replace_file
from elsewhere.roster import Roster
from elsewhere.sdk.researcher.folder import NotEnrolled
from elsewhere.succession import Succession, chain_from_bytes, chain_to_bytes, open_succession

_FOLDER: Final = "trust"
_ANCHOR, _CHAIN, _ROSTER, _AGREEMENT = "federation.json", "chain.json", "roster.json", "agreement.json"


@dataclass(frozen=True, slots=True)
class Documents:
    """Everything in it has been verified."""

    anchor: Federation
    succession: Succession
    agreement: Agreement | None = None
    agreement_envelope: bytes = field(default=b"", repr=False)

    @property
    def roster(self) -> Roster:
        """The roster in force."""
        return self.succession.roster

    def follow(self, roster: bytes, chain: Sequence[bytes], agreement: bytes) -> Documents:
        """Take what is newer of what a gateway shows; empty bytes are passed over.

        Raises:
            RosterRollback, RosterForked, RosterGap, AgreementRollback: keep what is held, and ask why.
            SignatureInvalid, DocumentInvalid, NotCanonical: not of this federation's stewards.
        """
        succession = self.succession.follow(roster, chain) if roster else self.succession
        found = replace(self, succession=succession)
        if not agreement:
            return found._without_lapsed()
        new = open_agreement(agreement, succession.roster)
        if self.agreement is not None:
            check_newer_agreement(self.agreement, new)
        return replace(found, agreement=new, agreement_envelope=agreement)

    def _without_lapsed(self) -> Documents:
        """Keep the agreement only while a quorum of the stewards in force has signed it."""
        try:
            if self.agreement_envelope:
                open_agreement(self.agreement_envelope, self.roster)
        except SignatureInvalid:
            return replace(self, agreement=None, agreement_envelope=b"")
        return self


def open_documents(
    anchor: Federation, chain: Sequence[bytes], roster: bytes, agreement: bytes | None
) -> Documents:
    """Verify documents from the anchor on; raises as `Documents.follow`."""
    return Documents(anchor, open_succession(anchor, chain, roster)).follow(b"", (), agreement or b"")


def read_documents(folder: Path) -> Documents:
    """Read what was verified before, and verify it again.

    Raises:
        NotEnrolled: nothing was.
        SignatureInvalid, DocumentInvalid, NotCanonical: a file was changed.
    """
    trust = folder / _FOLDER
    try:
        anchor = Federation.from_json(parse_canonical((trust / _ANCHOR).read_bytes()))
        succession = open_succession(
            anchor, chain_from_bytes((trust / _CHAIN).read_bytes()), (trust / _ROSTER).read_bytes()
        )
    except FileNotFoundError:
        raise NotEnrolled("expected an enrolled researcher; run 'elsewhere research init TOKEN'") from None
    held = Documents(anchor, succession)
    path = trust / _AGREEMENT
    return held.follow(b"", (), path.read_bytes()) if path.exists() else held


def keep_documents(folder: Path, documents: Documents) -> None:
    """Write down what was verified; raises EnrolmentRefused for another federation than the folder's."""
    trust = folder / _FOLDER
    trust.mkdir(mode=0o700, exist_ok=True)
    anchor = canonical_json(documents.anchor.to_json())
    if (trust / _ANCHOR).exists() and (trust / _ANCHOR).read_bytes() != anchor:
        raise EnrolmentRefused("this folder is of another federation; take a folder of its own")
    replace_file(trust / _CHAIN, chain_to_bytes(documents.succession.chain))
    replace_file(trust / _ROSTER, documents.succession.envelope)
    if documents.agreement_envelope:
        replace_file(trust / _AGREEMENT, documents.agreement_envelope)
    # Last: without the anchor nothing was enrolled.
    replace_file(trust / _ANCHOR, anchor)
