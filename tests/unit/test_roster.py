"""The roster: only the federation writes it, and it never goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from elsewhere.canonical import canonical_json
from elsewhere.errors import (
    DocumentInvalid,
    NotActive,
    RosterExpired,
    RosterForked,
    RosterRollback,
    SignatureInvalid,
)
from elsewhere.roster import (
    ROSTER_TYPE,
    Federation,
    Member,
    Roster,
    check_successor,
    open_roster,
    sign_roster,
)
from elsewhere.signing import SigningKey, open_envelope, sign_document

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
FEDERATION = SigningKey.from_seed(b"\x01" * 32)


def member(agency: str, state: str = "active") -> Member:
    key = SigningKey.from_seed(agency.encode().ljust(32, b"."))
    return Member(agency, agency.title(), "POLICE", agency.title(), state, key.public)


FIRST = Roster(
    federation="northshire",
    version=1,
    previous_digest=None,
    members=(member("police"), member("school", "suspended"), member("nhs-trust", "probation")),
    issued_utc=NOW,
    valid_until_utc=NOW + timedelta(days=90),
)
SECOND = replace(FIRST, version=2, previous_digest=FIRST.digest)


def test_a_roster_comes_back_as_it_was_signed() -> None:
    opened = open_roster(sign_roster(FEDERATION, SECOND), FEDERATION.public)

    assert opened == SECOND
    assert opened.digest == SECOND.digest


def test_the_digest_is_of_the_payload_signed() -> None:
    payload = open_envelope(sign_roster(FEDERATION, FIRST), ROSTER_TYPE, [FEDERATION.public])

    assert FIRST.digest == sha256(payload).digest()


def test_a_roster_that_the_federation_did_not_sign_is_refused() -> None:
    other = SigningKey.from_seed(b"\x02" * 32)

    with pytest.raises(SignatureInvalid):
        open_roster(sign_roster(other, FIRST), FEDERATION.public)


@pytest.mark.parametrize(
    ("agency", "state"), [("school", "suspended"), ("nhs-trust", "probation"), ("nobody", "unknown")]
)
def test_only_an_active_member_may_ask_or_answer(agency: str, state: str) -> None:
    with pytest.raises(NotActive) as refusal:
        FIRST.active(agency)

    assert refusal.value.state == state
    assert FIRST.active("police") == FIRST.member("police")
    assert [found.agency_id for found in FIRST.active_members()] == ["police"]


def test_a_roster_is_in_force_from_its_issue_to_just_before_its_end() -> None:
    FIRST.check_current(FIRST.issued_utc)
    FIRST.check_current(FIRST.valid_until_utc - timedelta(seconds=1))
    for moment in (FIRST.issued_utc - timedelta(seconds=1), FIRST.valid_until_utc):
        with pytest.raises(RosterExpired):
            FIRST.check_current(moment)


def test_a_successor_rises_and_names_the_one_before() -> None:
    check_successor(FIRST, SECOND)
    check_successor(FIRST, FIRST)
    check_successor(FIRST, replace(SECOND, version=5, previous_digest=bytes(32)))


def test_an_older_roster_is_refused() -> None:
    with pytest.raises(RosterRollback):
        check_successor(SECOND, FIRST)


@pytest.mark.parametrize(
    "rival",
    [
        replace(SECOND, previous_digest=bytes(32)),
        replace(FIRST, members=()),
        replace(SECOND, federation="southshire"),
    ],
    ids=["broken chain", "same version", "other federation"],
)
def test_two_rosters_that_contradict_each_other_are_refused(rival: Roster) -> None:
    with pytest.raises(RosterForked):
        check_successor(FIRST, rival)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"version": True},
        {"version": 2},
        {"previous_digest": "00" * 32},
        {"federation": "North Shire"},
        {"valid_until_utc": "2026-09-01T12:00:00Z"},
        {"issued_utc": "yesterday"},
        {"members": [FIRST.members[0].to_json(), FIRST.members[0].to_json()]},
        {"members": [FIRST.members[0].to_json(), {**FIRST.members[0].to_json(), "agency_id": "twin"}]},
        {"members": [{**FIRST.members[0].to_json(), "state": "retired"}]},
        {"members": [{**FIRST.members[0].to_json(), "agency_id": "Police"}]},
        {"members": [{**FIRST.members[0].to_json(), "agency_id": "p"}]},
        {"members": [{**FIRST.members[0].to_json(), "signing_key": "00"}]},
        {"members": [{**FIRST.members[0].to_json(), "sector": "police"}]},
        {"members": [{**FIRST.members[0].to_json(), "name": ""}]},
        {"members": [{**FIRST.members[0].to_json(), "surprise": 1}]},
        {"members": {}},
        {"surprise": 1},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_signed_roster_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    envelope = sign_document([FEDERATION], ROSTER_TYPE, {**FIRST.to_json(), **change})

    with pytest.raises(DocumentInvalid):
        open_roster(envelope, FEDERATION.public)


def test_a_member_that_could_not_be_read_back_cannot_be_made() -> None:
    for change in ({"name": "a\nb"}, {"state": "retired"}, {"signing_key": b""}, {"operator": ""}):
        with pytest.raises(DocumentInvalid):
            replace(FIRST.members[0], **change)


def test_the_trust_anchor_survives_its_file() -> None:
    anchor = Federation("northshire", FEDERATION.public, b"-----BEGIN CERTIFICATE-----\nAA==\n")

    assert Federation.from_json(anchor.to_json()) == anchor
    assert anchor.fingerprint == FEDERATION.key_id
    assert canonical_json(anchor.to_json())


@pytest.mark.parametrize(
    "change",
    [{"public": "00"}, {"tls_ca_pem": "a key"}, {"tls_ca_pem": "é"}, {"federation_id": "N"}, {"extra": 1}],
    ids=str,
)
def test_an_impossible_trust_anchor_is_refused(change: dict[str, Any]) -> None:
    anchor = Federation("northshire", FEDERATION.public, b"-----BEGIN CERTIFICATE-----\nAA==\n")

    with pytest.raises(DocumentInvalid):
        Federation.from_json({**anchor.to_json(), **change})
