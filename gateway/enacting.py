"""Enacting: a proposal that enough stewards have signed is put in force, and goes out to all members.

Sees:     proposals and signatures, as files; no private key.
Refuses:  too few signatures, one steward's twice, a stranger's, a proposal that something else overtook. What
          is refused changes nothing. Nor is an agency left out of an agreement because its steward is late.
          Nodes check all signatures again: an operator cannot enact by writing files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elsewhere.agreement.document import AGREEMENT_TYPE, join_signatures, open_agreement
from elsewhere.canonical import canonical_json
from elsewhere.errors import SignatureInvalid
from elsewhere.proposal import Proposal, ProposalInvalid, Signature, check_signed, signed_roster
from elsewhere.roster import Roster
from elsewhere.signing import enclose
from elsewhere.succession import Succession, open_succession
from gateway.errors import ProposalStale, SignedTwice, TooFewSigned, WouldUnbind
from gateway.folder import ROSTER_FILE, alone, read_anchor
from gateway.inforce import put_in_force, read_agreement, read_succession


@dataclass(frozen=True, slots=True)
class Enacted:
    """What is in force now."""

    roster: Roster
    agreement: int | None  # its version; None before there is one
    unbound: tuple[
        str, ...
    ]  # parties whose steward has not signed it: they share nothing, nobody shares with them


def enact(
    directory: Path,
    proposal: Proposal,
    signatures: Sequence[Signature],
    *,
    without: Collection[str] = (),
) -> Enacted:
    """Put a proposal in force; or add signatures to an agreement that is in force already.

    Args:
        directory: the gateway's folder.
        proposal: as it was handed to the stewards.
        signatures: all of them; later ones can be brought alone, once the roster is in force.
        without: agencies that are bound today and may be left unbound until their stewards sign.

    Raises:
        WouldUnbind: another agency that is bound today would not be.
        TooFewSigned: no quorum of the stewards in force, of those proposed, or of the agreement's.
        SignedTwice, NoSteward, ProposalInvalid: one of the signatures does not count.
        ProposalStale: the roster in force is another than the one the proposal follows.
        ConfigInvalid: the proposal is of another federation.
    """
    for signature in signatures:
        check_signed(signature, proposal)
    if len({signature.key for signature in signatures}) != len(signatures):
        raise SignedTwice("expected each steward's signature once; one is there twice")
    with alone(directory):
        if read_anchor(directory) != proposal.anchor:
            raise ProposalInvalid("expected a proposal of this federation; it is of another")
        held = read_succession(directory) if (directory / ROSTER_FILE).exists() else None
        if held is not None and held.roster.digest == proposal.roster.digest:
            following = held
        elif (held.roster.digest if held else None) == (
            proposal.before.roster.digest if proposal.before is not None else None
        ):
            following = _following(proposal, held, signatures)
        else:
            raise ProposalStale(
                f"expected the proposal after roster {held.roster.version if held else 0}, which is in force;"
                " it follows another: propose again"
            )
        agreement = _agreed(directory, proposal, held, following.roster, signatures)
        _check_bound(directory, held, following.roster, agreement, without)
        put_in_force(directory, following, agreement)
        return _enacted(directory, following.roster)


def _following(proposal: Proposal, held: Succession | None, signatures: Sequence[Signature]) -> Succession:
    """The proposed roster with its signatures, verified as every node will."""
    made = {signature.key: signature.roster for signature in signatures}
    old = held.roster if held is not None else proposal.roster
    for roster, whose in ((old, "in force"), (proposal.roster, "proposed")):
        _check_enough(made, roster, f"of the stewards {whose}")
    envelope = signed_roster(proposal, signatures)
    if held is None:
        return open_succession(proposal.anchor, (), envelope)
    return held.follow(envelope)


def _agreed(
    directory: Path,
    proposal: Proposal,
    held: Succession | None,
    roster: Roster,
    signatures: Sequence[Signature],
) -> bytes | None:
    """The agreement with the signatures it has and those brought; None if there is none."""
    agreement = proposal.agreement
    if agreement is None:
        return None
    payload = canonical_json(agreement.to_json())
    made = {s.key: s.agreement for s in signatures if s.agreement is not None}
    envelopes = [enclose(AGREEMENT_TYPE, payload, made)]
    in_force = read_agreement(directory, held.roster) if held is not None else None
    if in_force is not None:
        envelopes.insert(0, in_force[0])
        if in_force[1].version > agreement.version:
            raise ProposalStale("expected a proposal with the agreement in force; it has an earlier one")
    joined = join_signatures(agreement, envelopes, roster)
    try:
        open_agreement(joined, roster)
    except SignatureInvalid as err:
        raise TooFewSigned(f"the agreement: {err}") from None
    return joined


def _check_bound(
    directory: Path,
    held: Succession | None,
    roster: Roster,
    joined: bytes | None,
    without: Collection[str],
) -> None:
    """Return only if every active member that is bound today stays so, or was named as left out."""
    in_force = read_agreement(directory, held.roster) if held is not None else None
    if in_force is None or joined is None:
        return
    agreement = open_agreement(joined, roster)
    active = {member.agency_id for member in roster.members if member.state == "active"}
    parties = {party.agency_id for party in agreement.parties} & active
    left_out = sorted((in_force[1].signed_by & parties) - agreement.signed_by - set(without))
    if left_out:
        options = " ".join(f"--without {agency}" for agency in left_out)
        raise WouldUnbind(
            f"expected the signatures of all that are bound today; without those of {', '.join(left_out)}"
            " they share nothing and nobody shares with them. Wait for these stewards; if it cannot wait, add"
            f" {options}"
        )


def _check_enough(made: Mapping[bytes, bytes], roster: Roster, whose: str) -> None:
    """Return only if a quorum of a roster's stewards is among the signers."""
    count = len(set(made) & set(roster.steward_keys))
    if count < roster.quorum:
        missing = ", ".join(s.agency_id for s in roster.stewards if s.key not in made)
        raise TooFewSigned(f"expected {roster.quorum} signatures {whose}, got {count}; missing: {missing}")


def _enacted(directory: Path, roster: Roster) -> Enacted:
    """Say what is in force, and whom the agreement does not bind."""
    held = read_agreement(directory, roster)
    if held is None:
        return Enacted(roster, None, ())
    parties = (party.agency_id for party in held[1].parties)
    return Enacted(roster, held[1].version, tuple(p for p in parties if p not in held[1].signed_by))
