"""The operator proposes, the stewards sign: what comes into force, and what changes nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elsewhere.errors import ConfigInvalid, DocumentInvalid, ElsewhereError, EnrolmentRefused
from elsewhere.proposal import NoSteward, Proposal, ProposalInvalid, Signature, sign_proposal
from elsewhere.roster import Steward
from elsewhere.signing import SigningKey
from elsewhere.wire.tls import make_key
from gateway import enrolment
from gateway.agreed import TEXT_FILE
from gateway.enacting import enact
from gateway.enrolment import Founding
from gateway.errors import ProposalStale, SignedTwice, TooFewSigned, WouldUnbind
from gateway.inforce import read_agreement, read_succession
from gateway.proposing import Change, propose
from tests import partnership
from tests.gateway_support import join_request
from tests.partnership import KEYS, STEWARDS, steward, steward_key

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
FOUNDING = Founding(federation="northshire", listen="127.0.0.1:7443", stewards=STEWARDS)
STRANGER = SigningKey.from_seed(b"\x07" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A federation of two members; three of four stewards must sign."""
    partnership.init(tmp_path / "gw", FOUNDING, now=NOW, random=secrets.token_bytes)
    for agency, sector in (("police", "POLICE"), ("social", "SOCIAL_CARE")):
        request = join_request(agency, SigningKey.generate(secrets.token_bytes), make_key(), sector)
        partnership.admit(tmp_path / "gw", request, now=NOW)
    return tmp_path / "gw"


def signed(proposal: Proposal, *agencies: str, agrees: bool = True) -> list[Signature]:
    return [sign_proposal(steward_key(agency), proposal, agrees=agrees) for agency in agencies]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / TEXT_FILE).read_text("utf-8")
    assert old in text
    (folder / TEXT_FILE).write_text(text.replace(old, new), "utf-8")


def bound(folder: Path) -> frozenset[str]:
    held = read_agreement(folder, read_succession(folder).roster)
    assert held is not None
    return held[1].signed_by


def test_before_the_first_roster_is_signed_there_is_nothing_in_force(tmp_path: Path) -> None:
    proposal = enrolment.init(tmp_path, FOUNDING, now=NOW, random=secrets.token_bytes)

    with pytest.raises(ConfigInvalid, match="gateway enact"):
        read_succession(tmp_path)
    with pytest.raises(TooFewSigned, match="missing: schools, social"):
        enact(tmp_path, proposal, signed(proposal, "hospital", "police"))
    found = enact(tmp_path, proposal, signed(proposal, "hospital", "police", "schools"))
    assert (found.roster.version, found.agreement) == (1, None)
    assert found.roster.digest == proposal.anchor.genesis


def test_a_proposal_and_a_signature_survive_their_files(folder: Path) -> None:
    proposal = propose(folder, Change(states={"police": "suspended"}), now=NOW)
    signature = signed(proposal, "police")[0]

    assert Proposal.from_bytes(proposal.to_bytes()) == proposal
    assert Signature.from_bytes(signature.to_bytes()) == signature


def test_a_proposal_changes_nothing_by_itself(folder: Path) -> None:
    before = files_of(folder)
    propose(folder, Change(states={"police": "suspended"}), now=NOW)
    assert files_of(folder) == before


def _altered(proposal: Proposal) -> Proposal:
    """Another proposal of the same version."""
    return replace(proposal, roster=replace(proposal.roster, valid_until_utc=NOW + timedelta(days=900)))


@pytest.mark.parametrize(
    ("signatures", "error"),
    [
        (lambda p: signed(p, "police", "social"), TooFewSigned),
        (lambda p: signed(p, "police", "police", "social"), SignedTwice),
        (lambda p: signed(_altered(p), "police", "social", "schools"), ProposalInvalid),
        (lambda p: [replace(s, key=STRANGER.public) for s in signed(p, "police", "social")], NoSteward),
        (
            lambda p: [*signed(p, "police", "social"), replace(signed(p, "schools")[0], key=KEYS[0].public)],
            ProposalInvalid,
        ),
        (lambda p: [*signed(p, "police", "social"), *signed(p, "schools", agrees=False)], TooFewSigned),
    ],
    ids=["too few", "one twice", "of another", "strangers", "in another's name", "too few agree"],
)
def test_what_no_quorum_signed_changes_nothing(
    folder: Path, signatures: Callable[[Proposal], Sequence[Signature]], error: type[ElsewhereError]
) -> None:
    edit(folder, "per_person_per_day = 60", "per_person_per_day = 61")
    proposal = propose(folder, Change(states={"police": "suspended"}), now=NOW)
    before = files_of(folder)

    with pytest.raises(error):
        enact(folder, proposal, signatures(proposal))
    assert files_of(folder) == before


def test_of_two_proposals_the_second_one_is_stale(folder: Path) -> None:
    one, other = (propose(folder, Change(states={who: "suspended"}), now=NOW) for who in ("police", "social"))
    partnership.sign_all(folder, one)

    with pytest.raises(ProposalStale):
        partnership.sign_all(folder, other)
    assert read_succession(folder).roster.digest == one.roster.digest


def test_a_proposal_of_another_federation_is_refused(folder: Path, tmp_path: Path) -> None:
    partnership.init(tmp_path / "other", FOUNDING, now=NOW, random=secrets.token_bytes)
    proposal = propose(tmp_path / "other", Change(), now=NOW)

    with pytest.raises(ProposalInvalid):
        partnership.sign_all(folder, proposal)


def test_signatures_of_the_agreement_may_come_later(folder: Path) -> None:
    edit(folder, "per_person_per_day = 60", "per_person_per_day = 61")
    proposal = propose(folder, Change(), now=NOW)
    most = signed(proposal, "hospital", "police", "schools")
    before = files_of(folder)

    with pytest.raises(WouldUnbind, match="--without social"):
        enact(folder, proposal, most, without=("police",))
    assert files_of(folder) == before
    found = enact(folder, proposal, most, without=("social",))

    assert (found.agreement, found.unbound) == (2, ("social",))
    assert bound(folder) == {"hospital", "police", "schools"}
    assert enact(folder, proposal, signed(proposal, "social")).unbound == ()
    # Also once the roster has moved on, with the agreement in force signed anew.
    later = propose(folder, Change(), now=NOW)
    assert later.agreement == proposal.agreement
    enact(folder, later, signed(later, "hospital", "police", "schools", agrees=False))
    assert bound(folder) == {"hospital", "police", "schools", "social"}


def test_a_steward_who_signs_the_roster_only_leaves_the_agency_unbound(folder: Path) -> None:
    edit(folder, "per_person_per_day = 60", "per_person_per_day = 61")
    proposal = propose(folder, Change(), now=NOW)
    most = signed(proposal, "hospital", "police", "schools")

    found = enact(folder, proposal, [*most, *signed(proposal, "social", agrees=False)], without=["social"])

    assert found.unbound == ("social",)


def test_a_lost_key_is_replaced_by_the_quorum_left_and_its_successor(folder: Path) -> None:
    successor = SigningKey.from_seed(b"\x08" * 32)
    change = Change(stewards=(Steward("police", "Successor", successor.public),))
    proposal = propose(folder, change, now=NOW)
    assert proposal.roster.quorum == 3
    others = signed(proposal, "hospital", "schools", "social")

    # The three are a quorum before and after; the successor is bound once they sign for themselves.
    with pytest.raises(WouldUnbind, match="--without police"):
        enact(folder, proposal, others)
    found = enact(folder, proposal, others, without=["police"])
    assert found.unbound == ("police",)
    assert enact(folder, proposal, [sign_proposal(successor, proposal)]).unbound == ()

    following = propose(folder, Change(), now=NOW)
    with pytest.raises(NoSteward):
        sign_proposal(steward_key("police"), following)
    enact(folder, following, [sign_proposal(successor, following), *signed(following, "hospital", "social")])
    assert read_succession(folder).roster.version == proposal.roster.version + 1


def test_stewards_who_come_and_go_move_the_quorum_unless_it_is_named(folder: Path) -> None:
    grown = propose(folder, _more("council", "charity"), now=NOW)
    assert (len(grown.roster.stewards), grown.roster.quorum) == (6, 4)
    assert propose(folder, Change(quorum=4), now=NOW).roster.quorum == 4
    shrunk = propose(folder, Change(dropped=("schools", "hospital")), now=NOW)
    assert (len(shrunk.roster.stewards), shrunk.roster.quorum) == (2, 2)
    assert shrunk.roster.stewards_since == shrunk.roster.version
    for change in (
        Change(dropped=("schools", "hospital", "police")),
        Change(quorum=2),
        Change(quorum=5),
        Change(dropped=("nobody",)),
        Change(stewards=(Steward("copper", "Twin", KEYS[0].public),)),
    ):
        with pytest.raises(EnrolmentRefused):
            propose(folder, change, now=NOW)


def _more(*agencies: str) -> Change:
    return Change(stewards=tuple(map(steward, agencies)))


def test_a_key_that_the_agreement_names_is_the_one_of_the_roster(folder: Path) -> None:
    edit(folder, 'agency_id = "police"\n', f'agency_id = "police"\nsteward_key = "{KEYS[0].public.hex()}"\n')

    with pytest.raises(DocumentInvalid) as refusal:
        propose(folder, Change(), now=NOW)
    assert refusal.value.key == "parties[1].steward_key"
    police = steward_key("police").public.hex()
    edit(folder, KEYS[0].public.hex(), police)
    assert partnership.resign(folder, now=NOW)[1] == 2
    assert "police" in bound(folder)


def test_who_was_not_let_in_is_handed_no_certificate(folder: Path) -> None:
    thief = join_request("police", STRANGER, make_key())
    newcomer = join_request("council", STRANGER, make_key())
    for request in (thief, newcomer):
        with pytest.raises(EnrolmentRefused):
            enrolment.admit(folder, request, now=NOW)


def test_a_roster_is_made_to_last_by_the_stewards_before_it_runs_out(folder: Path) -> None:
    before = read_succession(folder).roster
    later = NOW + timedelta(days=80)

    partnership.resign(folder, now=later)

    after = read_succession(folder).roster
    assert after.valid_until_utc == later + timedelta(days=90)
    assert (after.members, after.stewards_since) == (before.members, before.stewards_since)
