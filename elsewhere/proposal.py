"""A proposal: the next roster and agreement as the operator wishes them, for the stewards to sign or not.

Sees:     public documents: what is in force, what is to follow. No private key is ever in either file.
Refuses:  a proposal that does not follow what it says is in force; a signature of another proposal.
Promises: the file needs nothing beside it: a steward checks it on a machine that is on no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from elsewhere.agreement.document import AGREEMENT_TYPE, agreement_from_json, open_agreement
from elsewhere.agreement.terms import Agreement
from elsewhere.anchor import Federation
from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import DocumentInvalid, ElsewhereError, NotCanonical, SignatureInvalid
from elsewhere.fields import Fields
from elsewhere.roster import DIGEST_BYTES, ROSTER_TYPE, Roster
from elsewhere.signing import (
    KEY_BYTES,
    MAX_ENVELOPE_BYTES,
    SIGNATURE_BYTES,
    SigningKey,
    check_signature,
    enclose,
    sign_bytes,
)
from elsewhere.succession import Succession, check_successor, open_succession

MAX_PROPOSAL_BYTES: Final = 16 * 1024 * 1024
MAX_VALIDITY: Final = timedelta(days=91)  # of a roster that a steward signs: 90 days, and clocks that differ
MAX_SIGNATURE_BYTES: Final = 4 * 1024
_PROPOSAL, _SIGNATURE = "elsewhere proposal 1", "elsewhere proposal signature 1"


class ProposalInvalid(ElsewhereError):
    """A file is no proposal or no signature of one, or does not hold. Ask whoever made it for another."""

    code = "proposal.invalid"


class NoSteward(ElsewhereError):
    """The key is of no steward, neither of the roster in force nor of the one proposed: it counts nothing."""

    code = "proposal.no_steward"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be in force. `before` and `agreed` are what is now; None before there is any."""

    anchor: Federation
    before: Succession | None
    agreed: bytes | None = field(repr=False)  # the envelope in force
    roster: Roster
    agreement: Agreement | None  # of the next roster: a new version, or the one in force to be signed by more

    def __post_init__(self) -> None:
        if self.before is None:
            if self.roster.digest != self.anchor.genesis or self.roster.version != 1:
                raise ProposalInvalid("expected the first roster, which the anchor names; it is another")
        else:
            check_successor(self.before.roster, self.roster)
            if self.roster.version != self.before.roster.version + 1:
                raise ProposalInvalid(f"expected roster {self.before.roster.version + 1}")
        if self.roster.valid_until_utc - self.roster.issued_utc > MAX_VALIDITY:
            # What the operator keeps from members they miss for so long at most.
            raise ProposalInvalid(f"expected a roster for {MAX_VALIDITY.days} days at most; it is for longer")
        if self.roster.federation != self.anchor.federation_id:
            raise ProposalInvalid("expected a roster of the federation that the anchor names")

    @property
    def agreement_before(self) -> Agreement | None:
        """The agreement in force."""
        if self.before is None or self.agreed is None:
            return None
        return open_agreement(self.agreed, self.before.roster)

    def to_bytes(self) -> bytes:
        """Write the proposal's file."""
        before = self.before
        value: Json = {
            "kind": _PROPOSAL,
            "federation": self.anchor.to_json(),
            "chain": [link.decode("utf-8") for link in before.chain] if before is not None else [],
            "before": before.envelope.decode("utf-8") if before is not None else None,
            "agreed": self.agreed.decode("utf-8") if self.agreed is not None else None,
            "roster": self.roster.to_json(),
            "agreement": self.agreement.to_json() if self.agreement is not None else None,
        }
        return canonical_json(value) + b"\n"

    @classmethod
    def from_bytes(cls, file: bytes) -> Proposal:
        """Read a proposal; what it says is in force has been verified then, from its anchor on.

        Raises:
            ProposalInvalid: not a proposal, or one that does not hold.
        """
        try:
            if len(file) > MAX_PROPOSAL_BYTES:
                raise DocumentInvalid("file", f"expected at most {MAX_PROPOSAL_BYTES} bytes")
            fields = Fields(parse_canonical(file.removesuffix(b"\n")))
            fields.choice("kind", (_PROPOSAL,))
            anchor = Federation.from_json(fields.take("federation"))
            agreement = fields.take("agreement")
            found = cls(
                anchor=anchor,
                before=_before(anchor, fields),
                agreed=_envelope(fields.take("agreed"), "agreed"),
                roster=Roster.from_json(fields.take("roster")),
                agreement=agreement_from_json(agreement) if agreement is not None else None,
            )
            fields.done()
            found.agreement_before  # noqa: B018 - read once, so that one that does not hold is refused here
        except ProposalInvalid:
            raise
        except ElsewhereError as err:
            raise ProposalInvalid(f"expected a proposal: {err}") from None
        return found


@dataclass(frozen=True, slots=True)
class Signature:
    """One steward's signatures of a proposal. Without `agreement` the steward agrees to the roster only."""

    key: bytes
    roster_digest: bytes
    agreement_digest: bytes | None
    roster: bytes = field(repr=False)
    agreement: bytes | None = field(repr=False)

    def to_bytes(self) -> bytes:
        """Write the signature's file."""
        value: Json = {
            "kind": _SIGNATURE,
            "key": self.key.hex(),
            "roster_digest": self.roster_digest.hex(),
            "agreement_digest": self.agreement_digest.hex() if self.agreement_digest is not None else None,
            "roster": self.roster.hex(),
            "agreement": self.agreement.hex() if self.agreement is not None else None,
        }
        return canonical_json(value) + b"\n"

    @classmethod
    def from_bytes(cls, file: bytes) -> Signature:
        """Read a signature's file; `check_signed` then checks it. Raises ProposalInvalid."""
        try:
            if len(file) > MAX_SIGNATURE_BYTES:
                raise DocumentInvalid("file", f"expected at most {MAX_SIGNATURE_BYTES} bytes")
            fields = Fields(parse_canonical(file.removesuffix(b"\n")))
            fields.choice("kind", (_SIGNATURE,))
            found = cls(
                key=fields.octets("key", KEY_BYTES),
                roster_digest=fields.octets("roster_digest", DIGEST_BYTES),
                agreement_digest=_optional(fields, "agreement_digest", DIGEST_BYTES),
                roster=fields.octets("roster", SIGNATURE_BYTES),
                agreement=_optional(fields, "agreement", SIGNATURE_BYTES),
            )
            fields.done()
        except (DocumentInvalid, NotCanonical) as err:
            raise ProposalInvalid(f"expected a signature of a proposal: {err}") from None
        return found


def sign_proposal(key: SigningKey, proposal: Proposal, *, agrees: bool = True) -> Signature:
    """Sign what a proposal would put in force.

    Args:
        key: a steward's.
        proposal: read and shown to the steward before.
        agrees: to the agreement too; without, the steward's agency is not bound by it.

    Raises:
        NoSteward: the key is of no steward. Nothing was signed.
    """
    listed = {*proposal.roster.steward_keys, *_keys_before(proposal)}
    if key.public not in listed:
        raise NoSteward("expected the key of a steward, in force or proposed; this one is listed nowhere")
    agreement = proposal.agreement if agrees else None
    return Signature(
        key=key.public,
        roster_digest=proposal.roster.digest,
        agreement_digest=agreement.digest if agreement is not None else None,
        roster=sign_bytes(key, ROSTER_TYPE, canonical_json(proposal.roster.to_json())),
        agreement=sign_bytes(key, AGREEMENT_TYPE, canonical_json(agreement.to_json()))
        if agreement is not None
        else None,
    )


def signed_roster(proposal: Proposal, signatures: Sequence[Signature]) -> bytes:
    """Bring the stewards' signatures of a proposed roster into one envelope, for its readers to verify."""
    made = {signature.key: signature.roster for signature in signatures}
    return enclose(ROSTER_TYPE, canonical_json(proposal.roster.to_json()), made)


def signed_agreement(proposal: Proposal, signatures: Sequence[Signature]) -> bytes:
    """As `signed_roster`, of the proposed agreement; raises ProposalInvalid where nobody has signed one."""
    made = {one.key: one.agreement for one in signatures if one.agreement is not None}
    if proposal.agreement is None or not made:
        raise ProposalInvalid("expected an agreement that stewards have signed; nobody has")
    return enclose(AGREEMENT_TYPE, canonical_json(proposal.agreement.to_json()), made)


def check_signed(signature: Signature, proposal: Proposal) -> None:
    """Return only if a steward has signed exactly this proposal.

    Raises:
        ProposalInvalid: a signature of another proposal, or none.
        NoSteward: by somebody else.
    """
    if signature.roster_digest != proposal.roster.digest:
        raise ProposalInvalid("expected a signature of this proposal; it is of another")
    if signature.key not in {*proposal.roster.steward_keys, *_keys_before(proposal)}:
        raise NoSteward("expected the signature of a steward, in force or proposed; it is by somebody else")
    try:
        payload = canonical_json(proposal.roster.to_json())
        check_signature(signature.key, ROSTER_TYPE, payload, signature.roster)
        if signature.agreement is not None and proposal.agreement is not None:
            payload = canonical_json(proposal.agreement.to_json())
            check_signature(signature.key, AGREEMENT_TYPE, payload, signature.agreement)
    except SignatureInvalid:
        raise ProposalInvalid("expected a signature of this proposal; it fails") from None


def _keys_before(proposal: Proposal) -> Sequence[bytes]:
    """The stewards' keys in force; none at the founding."""
    return proposal.before.roster.steward_keys if proposal.before is not None else ()


def _before(anchor: Federation, fields: Fields) -> Succession | None:
    """The roster in force, verified from the anchor on; None at the founding."""
    chain, envelope = fields.take("chain"), _envelope(fields.take("before"), "before")
    if not isinstance(chain, list):
        raise DocumentInvalid("chain", "expected a list of signed rosters")
    links = [link for link in (_envelope(item, "chain") for item in chain) if link is not None]
    return open_succession(anchor, links, envelope) if envelope is not None else None


def _envelope(value: Json, at: str) -> bytes | None:
    """An envelope that travels as text, or null."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_ENVELOPE_BYTES:
        raise DocumentInvalid(at, "expected a signed document or null")
    return value.encode("utf-8")


def _optional(fields: Fields, name: str, size: int) -> bytes | None:
    """Take bytes as hex, or null."""
    value = fields.take(name)
    if value is None:
        return None
    return Fields({name: value}).octets(name, size)
