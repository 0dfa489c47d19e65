"""The roster's payload: who the members and stewards are, and what cannot be said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from elsewhere.anchor import Federation
from elsewhere.canonical import canonical_json
from elsewhere.errors import DocumentInvalid, NotActive, RosterExpired
from elsewhere.roster import Member, Roster, least_quorum
from elsewhere.signing import SigningKey
from elsewhere.spoken import is_same_spoken, spoken
from tests.partnership import STEWARDS, anchor_of, first_roster

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


def member(agency: str, state: str = "active") -> Member:
    key = SigningKey.from_seed(agency.encode().ljust(32, b"."))
    return Member(agency, agency.title(), "POLICE", agency.title(), state, key.public)


FIRST = first_roster(
    member("police"),
    member("school", "suspended"),
    member("nhs-trust", "probation"),
    issued=NOW,
    until=NOW + timedelta(days=90),
)
SECOND = replace(FIRST, version=2, previous_digest=FIRST.digest)
OLD, OLDER = b"\xab" * 32, b"\x22" * 32
REKEYED = replace(SECOND, members=(replace(member("police"), earlier_keys=(OLD, OLDER)), *FIRST.members[1:]))


@pytest.mark.parametrize("roster", [FIRST, SECOND, REKEYED], ids=["first", "second", "rekeyed"])
def test_a_roster_comes_back_as_it_was_written(roster: Roster) -> None:
    assert Roster.from_json(roster.to_json()) == roster
    assert roster.digest == sha256(canonical_json(roster.to_json())).digest()


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


@pytest.mark.parametrize(("stewards", "quorum"), [(2, 2), (3, 2), (4, 3), (5, 3), (100, 51)])
def test_a_quorum_is_a_majority_and_at_least_two(stewards: int, quorum: int) -> None:
    assert least_quorum(stewards) == quorum


_MEMBER, _STEWARD = FIRST.members[0].to_json(), STEWARDS[0].to_json()
_ALL: list[Any] = [steward.to_json() for steward in STEWARDS]


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
        {"members": [_MEMBER, _MEMBER]},
        {"members": [_MEMBER, {**_MEMBER, "agency_id": "twin"}]},
        {"members": [{**_MEMBER, "state": "retired"}]},
        {"members": [{**_MEMBER, "agency_id": "Police"}]},
        {"members": [{**_MEMBER, "agency_id": "p"}]},
        {"members": [{**_MEMBER, "signing_key": "00"}]},
        {"members": [{**_MEMBER, "sector": "police"}]},
        {"members": [{**_MEMBER, "name": ""}]},
        {"members": [{**_MEMBER, "surprise": 1}]},
        {"members": {}},
        {"surprise": 1},
        {"quorum": 2},
        {"quorum": 5},
        {"quorum": True},
        {"stewards": _ALL[:1], "quorum": 2},
        {"stewards": _ALL[:1], "quorum": 1},
        {"stewards": [], "quorum": 0},
        {"stewards": [_STEWARD, _STEWARD], "quorum": 2},
        {"stewards": [_STEWARD, {**_STEWARD, "agency_id": "twin"}], "quorum": 2},
        {"stewards": [_STEWARD, {**_ALL[1], "agency_id": _STEWARD["agency_id"]}], "quorum": 2},
        {"stewards": [_STEWARD, {**_ALL[1], "key": "00"}], "quorum": 2},
        {"stewards": [_STEWARD, {**_ALL[1], "surprise": 1}], "quorum": 2},
        {"stewards_since": 0},
        {"stewards_since": 2},
        {"gateway_key": "00"},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_roster_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentInvalid):
        Roster.from_json({**FIRST.to_json(), **change})


def test_a_member_that_could_not_be_read_back_cannot_be_made() -> None:
    for change in ({"name": "a\nb"}, {"state": "retired"}, {"signing_key": b""}, {"operator": ""}):
        with pytest.raises(DocumentInvalid):
            replace(FIRST.members[0], **change)


def test_the_trust_anchor_survives_its_file() -> None:
    anchor = anchor_of(FIRST)

    assert Federation.from_json(anchor.to_json()) == anchor
    assert anchor.genesis == FIRST.digest
    assert canonical_json(anchor.to_json())


@pytest.mark.parametrize(
    "change",
    [{"genesis": "00"}, {"tls_ca_pem": "a key"}, {"tls_ca_pem": "é"}, {"federation_id": "N"}, {"extra": 1}],
    ids=str,
)
def test_an_impossible_trust_anchor_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentInvalid):
        Federation.from_json({**anchor_of(FIRST).to_json(), **change})


def test_a_spoken_fingerprint_is_twenty_digits_of_one_kind_of_thing() -> None:
    said = spoken("member", bytes(32))

    # Computed apart: openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexpass:00.. \
    #   -kdfopt salt:'elsewhere member v1' -kdfopt iter:20000 PBKDF2, then modulo 10^20.
    assert said == "65921-77032-59765-91313"
    assert said not in {spoken("steward", bytes(32)), spoken("member", bytes(31) + b"\1")}
    assert is_same_spoken(said.replace("-", " "), said)
    assert not is_same_spoken(said[:-1] + str((int(said[-1]) + 1) % 10), said)
    assert not is_same_spoken("", "")
    assert not is_same_spoken(said[:11], said[:11])


def test_keys_before_are_said_only_where_there_are_any_and_each_once() -> None:
    police = member("police")
    assert "earlier_keys" not in police.to_json()
    rekeyed = replace(police, earlier_keys=(OLD, OLDER))
    assert rekeyed.to_json()["earlier_keys"] == [OLD.hex(), OLDER.hex()]
    assert rekeyed.keys == (police.signing_key, OLD, OLDER)
    payload: dict[str, Any] = REKEYED.to_json()
    for keys in ([], [OLD.hex()] * 2, [OLD.hex().upper()], ["ab"], [b"x" * 32]):
        payload["members"][0]["earlier_keys"] = keys
        with pytest.raises(DocumentInvalid):
            Roster.from_json(payload)
    with pytest.raises(DocumentInvalid):
        replace(police, earlier_keys=tuple(bytes([n]) * 32 for n in range(17)))


@pytest.mark.parametrize(
    "strange",
    [
        replace(member("school"), earlier_keys=(member("police").signing_key,)),
        replace(member("school"), earlier_keys=(OLD,)),
        replace(member("school"), signing_key=OLD),
    ],
    ids=["another's in force", "another's of before, both", "another's of before, in force"],
)
def test_no_key_is_two_agencies_at_any_time(strange: Member) -> None:
    with pytest.raises(DocumentInvalid, match="signing_key"):
        replace(REKEYED, members=(REKEYED.members[0], strange))
