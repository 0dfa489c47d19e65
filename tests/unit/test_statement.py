"""Key statements: each member speaks for itself, with the key the roster gives, and never goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from elsewhere.errors import DocumentInvalid, NotActive, SignatureInvalid, StatementRollback
from elsewhere.roster import Member
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey, sign_document
from elsewhere.statement import (
    MAX_STATEMENT_BYTES,
    STATEMENT_TYPE,
    KeyStatement,
    OprfKeyEntry,
    SealingKeyEntry,
    check_newer_statement,
    open_statement,
    sign_statement,
)
from tests.partnership import first_roster

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
POLICE, SCHOOL = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2))
SEALING = [SealingKey.generate(Random(n).randbytes).public for n in (1, 2)]
ROSTER = first_roster(
    Member("police", "Police", "POLICE", "Police", "active", POLICE.public),
    Member("school", "School", "SCHOOL", "Council", "active", SCHOOL.public),
    issued=NOW,
    until=NOW + 90 * DAY,
)
STATEMENT = KeyStatement(
    agency="police",
    version=3,
    issued_utc=NOW,
    sealing_keys=(SealingKeyEntry(SEALING[0], NOW + 7 * DAY), SealingKeyEntry(SEALING[1], NOW + 14 * DAY)),
    oprf_keys=(
        OprfKeyEntry("involvement", 4, b"\x04" * 32, NOW - 20 * DAY, NOW + 10 * DAY),
        OprfKeyEntry("involvement", 5, b"\x05" * 32, NOW + 5 * DAY, NOW + 35 * DAY),
    ),
    protocol_versions=(1,),
    match_key_versions=("1",),
)


def test_a_statement_comes_back_as_its_member_signed_it() -> None:
    opened = open_statement(sign_statement(POLICE, STATEMENT), ROSTER)

    assert opened == STATEMENT
    assert opened.digest == STATEMENT.digest


def test_one_member_cannot_speak_for_another() -> None:
    with pytest.raises(SignatureInvalid):
        open_statement(sign_statement(SCHOOL, STATEMENT), ROSTER)


def test_where_the_speaker_is_known_nobody_elses_statement_will_do() -> None:
    envelope = sign_statement(POLICE, STATEMENT)

    assert open_statement(envelope, ROSTER, signer="police") == STATEMENT
    with pytest.raises(SignatureInvalid):
        open_statement(envelope, ROSTER, signer="school")
    with pytest.raises(NotActive):
        open_statement(envelope, ROSTER, signer="nobody")


def test_a_statement_over_its_size_is_refused() -> None:
    envelope = sign_statement(POLICE, STATEMENT)

    assert open_statement(envelope.ljust(MAX_STATEMENT_BYTES), ROSTER) == STATEMENT
    with pytest.raises(SignatureInvalid):
        open_statement(envelope.ljust(MAX_STATEMENT_BYTES + 1), ROSTER)


def test_a_stranger_cannot_speak_at_all() -> None:
    stranger = SigningKey.from_seed(b"\x09" * 32)

    with pytest.raises(SignatureInvalid):
        open_statement(sign_statement(stranger, STATEMENT), ROSTER)
    with pytest.raises(SignatureInvalid):
        open_statement(sign_statement(POLICE, STATEMENT), replace(ROSTER, members=()))


def test_a_suspended_member_is_refused_though_it_signs() -> None:
    suspended = replace(ROSTER, members=(replace(ROSTER.members[0], state="suspended"), ROSTER.members[1]))

    with pytest.raises(NotActive):
        open_statement(sign_statement(POLICE, STATEMENT), suspended)


def test_a_statement_rises_by_version() -> None:
    check_newer_statement(STATEMENT, STATEMENT)
    check_newer_statement(STATEMENT, replace(STATEMENT, version=4))
    for older in (replace(STATEMENT, version=2), replace(STATEMENT, protocol_versions=(1, 2))):
        with pytest.raises(StatementRollback):
            check_newer_statement(STATEMENT, older)
    with pytest.raises(ValueError, match="one agency"):
        check_newer_statement(STATEMENT, replace(STATEMENT, agency="school"))


@pytest.mark.parametrize(
    ("collection", "epoch"), [("involvement", 6), ("protected", 4)], ids=["the next epoch", "a collection"]
)
def test_a_key_that_stood_for_another_epoch_is_not_taken_up_again(collection: str, epoch: int) -> None:
    first = STATEMENT.oprf_keys[0]
    again = replace(first, collection=collection, epoch=epoch)
    for others in ((), STATEMENT.oprf_keys[1:]):
        with pytest.raises(StatementRollback, match=f"{collection}, epoch {epoch}"):
            check_newer_statement(STATEMENT, replace(STATEMENT, version=4, oprf_keys=(*others, again)))
    fresh = replace(again, public=b"\x06" * 32)
    check_newer_statement(STATEMENT, replace(STATEMENT, version=4, oprf_keys=(first, fresh)))


def test_an_epoch_keeps_its_key() -> None:
    first, second = STATEMENT.oprf_keys
    other = replace(second, public=b"\x06" * 32)
    with pytest.raises(StatementRollback, match="involvement, epoch 5"):
        check_newer_statement(STATEMENT, replace(STATEMENT, version=4, oprf_keys=(first, other)))
    check_newer_statement(STATEMENT, replace(STATEMENT, version=4, oprf_keys=(first,)))


def test_the_sealing_key_that_lasts_longest_is_used_until_it_runs_out() -> None:
    chosen = STATEMENT.sealing_key(NOW)

    assert chosen is not None
    assert chosen.key_id == SEALING[1].key_id
    assert STATEMENT.sealing_key(NOW + 14 * DAY) is None


def test_the_newest_epoch_in_force_is_asked() -> None:
    def epoch(moment: datetime, *held: int) -> int | None:
        entry = STATEMENT.epoch_to_ask("involvement", moment, lambda number: number in held)
        return entry.epoch if entry else None

    assert epoch(NOW) == 4
    assert epoch(NOW + 5 * DAY) == 5  # both live: members change over
    assert epoch(NOW + 35 * DAY) is None
    assert epoch(NOW + 35 * DAY, 4, 5) is None
    assert STATEMENT.epoch_to_ask("concern", NOW, lambda number: True) is None
    assert STATEMENT.oprf_key("involvement", 4) == STATEMENT.oprf_keys[0]
    assert STATEMENT.oprf_key("involvement", 6) is None


def test_of_two_epochs_in_force_the_newest_whose_catalogue_is_held_is_asked() -> None:
    moment = NOW + 5 * DAY

    def asked(*held: int) -> int | None:
        entry = STATEMENT.epoch_to_ask("involvement", moment, lambda number: number in held)
        return entry.epoch if entry else None

    assert [entry.epoch for entry in STATEMENT.epochs_in_force("involvement", moment)] == [5, 4]
    assert asked(4) == 4
    assert asked(4, 5) == 5
    assert asked() == 5
    assert asked(3) == 5


SEALING_JSON = STATEMENT.sealing_keys[0].to_json()
OPRF_JSON = STATEMENT.oprf_keys[0].to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"agency": "Police"},
        {"sealing_keys": []},
        {"sealing_keys": [SEALING_JSON, SEALING_JSON]},
        {"sealing_keys": [{**SEALING_JSON, "key_id": "0" * 16}]},
        {"sealing_keys": [{**SEALING_JSON, "public": "00"}]},
        {"oprf_keys": [OPRF_JSON, {**OPRF_JSON, "public": "06" * 32}]},
        {"oprf_keys": [OPRF_JSON, {**OPRF_JSON, "epoch": 9}]},
        {"oprf_keys": [{**OPRF_JSON, "public": "00" * 32}]},
        {"oprf_keys": [{**OPRF_JSON, "epoch": 0}]},
        {"oprf_keys": [{**OPRF_JSON, "collection": "In volvement"}]},
        {"oprf_keys": [{**OPRF_JSON, "valid_until_utc": OPRF_JSON["valid_from_utc"]}]},
        {"protocol_versions": []},
        {"protocol_versions": ["1"]},
        {"match_key_versions": []},
        {"match_key_versions": [""]},
        {"surprise": 1},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_signed_statement_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    envelope = sign_document([POLICE], STATEMENT_TYPE, {**STATEMENT.to_json(), **change})

    with pytest.raises(DocumentInvalid):
        open_statement(envelope, ROSTER)


@pytest.mark.parametrize("change", [{"epoch": 0}, {"public": b""}, {"collection": "X"}], ids=str)
def test_an_impossible_key_entry_cannot_be_made(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentInvalid):
        replace(STATEMENT.oprf_keys[0], **change)
