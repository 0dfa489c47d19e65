"""A wish for another signing key: of a member, signed with both, and for no key of before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from elsewhere.canonical import Json
from elsewhere.rekeying import (
    MAX_REKEYING_BYTES,
    REKEYING_TYPE,
    Rekeying,
    RekeyingInvalid,
    open_rekeying,
    sign_rekeying,
)
from elsewhere.roster import Member
from elsewhere.signing import SigningKey, sign_document
from tests.partnership import first_roster

HELD, COMING, STRANGER = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2, 3))
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
ROSTER = first_roster(
    Member("police", "Police", "POLICE", "Police", "active", HELD.public),
    issued=NOW,
    until=NOW + timedelta(days=90),
)
PAYLOAD: dict[str, Json] = {"agency_id": "police", "signing_key": COMING.public.hex()}


def by(*keys: SigningKey, kind: str = REKEYING_TYPE, **changes: Json) -> bytes:
    """A wish as these keys sign it."""
    return sign_document(keys, kind, {**PAYLOAD, **changes})


def test_it_comes_back_as_it_was_signed() -> None:
    assert open_rekeying(sign_rekeying("police", HELD, COMING), ROSTER) == Rekeying("police", COMING.public)


@pytest.mark.parametrize(
    "file",
    [
        by(HELD),
        by(COMING),
        by(HELD, STRANGER),
        by(STRANGER, COMING),
        by(HELD, COMING, kind="application/vnd.elsewhere.join-request.v1+json"),
        by(HELD, COMING, agency_id="school"),
        by(HELD, signing_key=HELD.public.hex()),
        by(HELD, COMING, more="x"),
        by(HELD, COMING) + b" " * MAX_REKEYING_BYTES,
        b"",
    ],
    ids=[
        "the one in force alone",
        "the one to come alone",
        "not the one to come",
        "not the one in force",
        "another kind",
        "no member",
        "the same key",
        "a field too many",
        "too long",
        "nothing",
    ],
)
def test_any_other_is_refused(file: bytes) -> None:
    with pytest.raises(RekeyingInvalid):
        open_rekeying(file, ROSTER)


def test_one_of_before_is_none_once_the_key_was_replaced() -> None:
    wish = sign_rekeying("police", HELD, COMING)
    police = replace(ROSTER.members[0], signing_key=COMING.public, earlier_keys=(HELD.public,))
    with pytest.raises(RekeyingInvalid):
        open_rekeying(wish, replace(ROSTER, members=(police,)))
