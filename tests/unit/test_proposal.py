"""What a steward reads before signing: each change in words; a proposal that does not hold is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elsewhere.agreement.document import agreement_from_toml, sign_agreement
from elsewhere.agreement.studies import HeldTable, Research
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import Agreement, Party, Validity
from elsewhere.canonical import canonical_json
from elsewhere.errors import DocumentInvalid, ElsewhereError
from elsewhere.proposal import NoSteward, Proposal, ProposalInvalid, Signature, check_signed, sign_proposal
from elsewhere.proposalwords import describe, newcomers
from elsewhere.roster import Member, Steward
from elsewhere.signing import SigningKey
from tests.partnership import KEYS, STEWARDS, anchor_of, first_roster, signed, sole, steward
from tests.unit.node.study_world import research

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
POLICE = Member("police", "Police", "POLICE", "Police", "active", b"\x03" * 32)
SCHOOL = Member("school", "School", "SCHOOL", "School", "active", b"\x04" * 32)
FIRST = first_roster(POLICE, SCHOOL, issued=NOW, until=NOW + timedelta(days=90))
NEXT = replace(FIRST, version=2, previous_digest=FIRST.digest)
VALIDITY = Validity(NOW, NOW + timedelta(days=90), NOW + timedelta(days=60))
PARTIES = [
    Party("police", "Police", "POLICE", "1", "2"),
    Party("social", "Social", "SOCIAL_CARE", "1", "2"),
]


def agreement(title: str = "Sharing") -> Agreement:
    return agreement_from_toml(
        starting_agreement(id="northshire", title=title, validity=VALIDITY, parties=PARTIES)
    )


def proposal(**changes: Any) -> Proposal:
    """A proposal of the next roster, otherwise changed."""
    held = sign_agreement(KEYS, agreement())
    found = Proposal(anchor_of(FIRST), sole(FIRST), held, NEXT, agreement())
    return replace(found, **changes)


def said(**changes: Any) -> list[str]:
    """What is said of a changed roster, after the first line and before the agreement."""
    return describe(proposal(roster=replace(NEXT, **changes)))[1:-1]


def studies() -> Research:
    """A project with one researcher, of whom two agencies' data are asked."""
    project = replace(research().projects[0], tables=("referral",), participants=())
    held = (HeldTable("referral", ("police",)),)
    people = research().researchers[:1]
    return replace(research(), projects=(project,), tables=held, researchers=people, most_agencies=1)


NEWCOMER = Member("council", "Council", "SOCIAL_CARE", "Council", "active", b"\x05" * 32)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"members": (POLICE,)}, ["member school (School) is taken out"]),
        (
            {"members": (POLICE, SCHOOL, NEWCOMER)},
            ["member council (Council, SOCIAL_CARE) comes in, active"],
        ),
        (
            {"members": (replace(POLICE, state="revoked"), SCHOOL)},
            ["member police: state becomes revoked (now active)"],
        ),
        (
            {"members": (POLICE, replace(SCHOOL, name="Hill School", sector="NHS_TRUST", operator="IT"))},
            [
                "member school: name becomes Hill School (now School)",
                "member school: sector becomes NHS_TRUST (now SCHOOL)",
                "member school: operator becomes IT (now School)",
            ],
        ),
        (
            {"members": (replace(POLICE, signing_key=b"\x06" * 32, earlier_keys=POLICE.keys), SCHOOL)},
            [
                f"member police: ANOTHER KEY in the place of {POLICE.fingerprint}",
                "  the one before counts for what it has signed and others have seen, and for nothing new",
            ],
        ),
        (
            {"stewards": STEWARDS[:3], "quorum": 2, "stewards_since": 2},
            ["steward Steward of social of social is taken out", "from then on 2 of 3 stewards must sign"],
        ),
        (
            {"stewards": (*STEWARDS[:3], Steward("social", "Other", b"\x07" * 32)), "stewards_since": 2},
            ["steward Other of social, in the place of Steward of social: ANOTHER KEY"],
        ),
        ({"quorum": 4, "stewards_since": 2}, ["from then on 4 of 4 stewards must sign"]),
        ({"gateway_key": bytes(32)}, ["the gateway's own key changes"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, list) else "",
)
def test_every_change_of_the_roster_is_said(changes: dict[str, Any], words: list[str]) -> None:
    assert said(**changes) == words


def test_the_first_roster_is_said_to_found_the_federation() -> None:
    first = proposal(before=None, agreed=None, roster=FIRST, agreement=None)

    lines = describe(first)

    assert f"fingerprint {first.anchor.fingerprint}" in lines[0]
    assert lines[1] == "the first one: it founds the federation"
    assert "steward Steward of social of social comes in" in lines
    assert lines[-1] == "from then on 3 of 4 stewards must sign"


def test_what_is_agreed_otherwise_is_said_with_what_it_was() -> None:
    held = agreement()
    rule = replace(held.rules[0], words="Anything goes.")
    party = Party("council", "Council", "SOCIAL_CARE", "3", "4")
    changed = replace(
        held,
        version=2,
        title="Anew",
        rules=(rule, *held.rules[2:]),
        parties=(*held.parties, party),
        limits=replace(held.limits, burst=21),
    )

    lines = describe(proposal(agreement=changed))

    assert "agreement 2 in the place of 1:" in lines
    assert "  agreement: title was Sharing, is now Anew" in lines
    assert "  limits: burst was 20, is now 21" in lines
    assert any(line.startswith("  party council: is new: ") for line in lines)
    assert f"  rule {rule.id}: words was {held.rules[0].words}, is now Anything goes." in lines
    assert any(line.startswith(f"  rule {held.rules[1].id}: is gone: ") for line in lines)
    assert any(" asking " in line and ": was answered at once" in line for line in lines)
    assert "agreement 1 stays as it is; signing it binds your agency" in describe(proposal())


def test_a_first_agreement_is_said_whole_so_that_nothing_of_it_is_signed_unseen() -> None:
    held = agreement()
    lines = describe(proposal(agreed=None))

    assert "agreement 1, the first: Sharing" in lines
    assert f"  digest: {held.digest.hex()}" in lines
    wider = replace(held, rules=(replace(held.rules[0], obligations=("SILENT",)), *held.rules[1:]))
    others = (wider, replace(held, limits=replace(held.limits, burst=21)))
    for other in others:
        said = describe(proposal(agreed=None, agreement=other))
        assert len(set(said) - set(lines)) == 2, "the digest, and the clause that differs"


def test_a_key_under_another_id_is_asked_about_like_any_new_one() -> None:
    moved = replace(SCHOOL, agency_id="clinic", name="Clinic")
    roster = replace(NEXT, members=(POLICE, moved))

    with pytest.raises(DocumentInvalid, match="stay with its agency"):
        proposal(roster=roster)
    found = object.__new__(Proposal)  # as an older release would have let it through
    parts = {"before": sole(FIRST), "roster": roster, "agreed": None, "agreement": None}
    for name, value in parts.items():
        object.__setattr__(found, name, value)
    assert [one.id for one in newcomers(found, KEYS[0].public)] == ["clinic"]


def test_a_researchers_key_is_asked_about_like_a_members() -> None:
    held = replace(agreement(), research=studies())
    (ana,) = studies().researchers
    other = replace(ana, key=b"\x09" * 32)
    swapped = replace(held, research=replace(studies(), researchers=(other,)))

    assert [(one.id, one.fingerprint) for one in newcomers(proposal(agreement=held), KEYS[0].public)] == [
        ("ana", ana.fingerprint)
    ]
    before = proposal(agreed=sign_agreement(KEYS, held), agreement=held)
    assert newcomers(before, KEYS[0].public) == []
    after = replace(before, agreement=replace(swapped, version=2))
    assert [one.fingerprint for one in newcomers(after, KEYS[0].public)] == [other.fingerprint]


def test_a_roster_for_longer_than_ninety_days_is_signed_by_nobody() -> None:
    with pytest.raises(ProposalInvalid, match="91 days"):
        proposal(roster=replace(NEXT, valid_until_utc=NEXT.issued_utc + timedelta(days=92)))


def test_a_newcomer_is_known_by_what_is_heard_and_never_by_what_is_shown() -> None:
    successor = Steward("social", "Other", b"\x07" * 32)
    found = proposal(
        roster=replace(
            NEXT,
            members=(
                replace(POLICE, signing_key=b"\x06" * 32, earlier_keys=POLICE.keys),
                SCHOOL,
                NEWCOMER,
            ),
            stewards=(*STEWARDS[:3], successor),
            stewards_since=2,
        )
    )

    new = newcomers(found, STEWARDS[0].key)

    assert [one.id for one in new] == ["police", "council", "social"]
    assert new[1].fingerprint == NEWCOMER.fingerprint
    assert newcomers(found, successor.key) == new[:2]
    assert not any(one.fingerprint in line for one in new for line in describe(found))
    assert newcomers(proposal(), STEWARDS[0].key) == []
    first = proposal(before=None, agreed=None, roster=FIRST, agreement=None)
    assert len(newcomers(first, STEWARDS[0].key)) == 2 + 3


def test_only_a_steward_signs_and_only_this_proposal() -> None:
    stranger, found = SigningKey.from_seed(b"\x02" * 32), proposal()
    with pytest.raises(NoSteward):
        sign_proposal(stranger, found)
    signature = sign_proposal(KEYS[0], found)

    check_signed(signature, found)
    for other, error in (
        (replace(signature, key=stranger.public), NoSteward),
        (replace(signature, key=KEYS[1].public), ProposalInvalid),
        (replace(signature, roster=bytes(64)), ProposalInvalid),
        (replace(signature, agreement=bytes(64)), ProposalInvalid),
    ):
        with pytest.raises(error):
            check_signed(other, found)
    with pytest.raises(ProposalInvalid):
        check_signed(signature, proposal(roster=replace(NEXT, quorum=4, stewards_since=2)))


def _with(**changes: Any) -> bytes:
    return canonical_json({**json.loads(proposal().to_bytes()), **changes})


@pytest.mark.parametrize(
    "file",
    [
        lambda: b"",
        lambda: b"{}",
        lambda: _with(kind="another"),
        lambda: _with(extra=1),
        lambda: _with(before=None),
        lambda: _with(chain=["{}"]),
        lambda: _with(chain=None),
        lambda: _with(before=signed(replace(FIRST, members=())).decode()),
        lambda: _with(before=5),
        lambda: _with(agreed="{}"),
        lambda: _with(agreed=sign_agreement(KEYS[:2], agreement()).decode()),
        lambda: _with(roster=FIRST.to_json()),
        lambda: _with(roster=replace(NEXT, version=3).to_json()),
        lambda: _with(roster=replace(NEXT, federation="southshire").to_json()),
        lambda: _with(roster=replace(NEXT, previous_digest=bytes(32)).to_json()),
        lambda: _with(roster=replace(NEXT, stewards=(*STEWARDS[:3], steward("council"))).to_json()),
        lambda: _with(agreement={"id": "northshire"}),
    ],
)
def test_a_proposal_that_does_not_hold_is_refused(file: Callable[[], bytes]) -> None:
    with pytest.raises(ElsewhereError) as refusal:
        Proposal.from_bytes(file())
    assert refusal.value.code == "proposal.invalid"


@pytest.mark.parametrize("change", [{"kind": "x"}, {"key": "00"}, {"roster": None}, {"extra": 1}], ids=str)
def test_a_file_that_is_no_signature_is_refused(change: dict[str, Any]) -> None:
    file = sign_proposal(KEYS[0], proposal()).to_bytes()

    with pytest.raises(ProposalInvalid):
        Signature.from_bytes(canonical_json({**json.loads(file), **change}))
