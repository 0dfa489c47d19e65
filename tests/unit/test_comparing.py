"""What members say that they hold of each other: whose word counts, and what a gateway passes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from elsewhere.comparing import (
    MAX_NOTE,
    MAX_NOTES,
    compared_at,
    open_told,
    sign_held,
    statement_checkpoint,
)
from elsewhere.errors import FrameMalformed
from elsewhere.roster import Member, Roster
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement, SealingKeyEntry
from elsewhere.transparency.errors import NoteInvalid
from gateway.comparing import Comparing
from tests.partnership import first_roster

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
NAMES = ("social", "police", "hospital", "schools")
KEYS = {name: SigningKey.from_seed(bytes([n]) * 32) for n, name in enumerate(NAMES, 1)}


def roster(*names: str) -> Roster:
    members = [Member(n, n.title(), "POLICE", n.title(), "active", KEYS[n].public) for n in names or NAMES]
    return first_roster(*members, issued=NOW - timedelta(days=1), until=NOW + timedelta(days=60))


ROSTER = roster()
HELD = KeyStatement(
    agency="police",
    version=3,
    issued_utc=NOW,
    sealing_keys=(SealingKeyEntry(SealingKey(bytes(range(96))).public, NOW + timedelta(days=7)),),
    oprf_keys=(),
    protocol_versions=(1,),
    match_key_versions=("1",),
)
OTHER = replace(HELD, issued_utc=NOW - timedelta(seconds=1))


def note(by: str, held: KeyStatement = HELD, at: datetime = NOW, key: SigningKey | None = None) -> bytes:
    return sign_held(held, (ROSTER.federation, by, key or KEYS[by]), at)


def said_at(*notes: bytes, within: Roster = ROSTER) -> int | None:
    told = [open_told(one, within) for one in notes]
    return compared_at(told, HELD, within, "social", NOW)


def test_two_others_are_enough_and_neither_ones_own_word_nor_its_makers_counts() -> None:
    hour = timedelta(hours=1)
    both = note("hospital", at=NOW - hour), note("schools")
    assert said_at(*both) == int((NOW - hour).timestamp())
    assert said_at(note("hospital"), note("social")) is None
    assert said_at(note("hospital"), note("police")) is None
    assert said_at(note("hospital"), note("schools", OTHER)) is None
    assert said_at(note("hospital"), note("schools", at=NOW + hour)) is None
    three = roster("social", "police", "hospital")
    assert said_at(note("hospital"), within=three) == int(NOW.timestamp())
    assert said_at(within=roster("social", "police")) is not None, "nobody is there to compare with"


@pytest.mark.parametrize(
    "strange",
    [
        note("hospital", key=KEYS["social"]),
        note("hospital", replace(HELD, agency="nobody")),
        note("hospital").replace(b"/police/statement", b"/police/log"),
        note("hospital").replace(b"\n3\n", b"\n4\n"),
        b"",
        b"\xff",
    ],
    ids=["another's key", "of no member", "over something else", "altered", "nothing", "no text"],
)
def test_any_other_note_is_refused(strange: bytes) -> None:
    with pytest.raises(NoteInvalid):
        open_told(strange, ROSTER)


def test_a_gateway_passes_on_others_word_on_the_version_that_is_asked_about() -> None:
    at = Comparing(lambda: ROSTER, lambda: 0.0)
    for by, held in (("hospital", HELD), ("schools", OTHER), ("police", HELD)):
        assert at.exchange(by, [note(by, held, NOW - timedelta(hours=1))]) is not None
    at.exchange("hospital", [note("hospital", HELD)])
    at.exchange("hospital", [note("hospital", OTHER, NOW - timedelta(days=1))])  # older than what is held
    found = [open_told(one, ROSTER) for one in at.exchange("social", [note("social")])]
    times = {told.checkpoint: told.times for told in found}
    assert times == {
        statement_checkpoint(ROSTER.federation, HELD): {
            "hospital": int(NOW.timestamp()),
            "police": int((NOW - timedelta(hours=1)).timestamp()),
        },
        statement_checkpoint(ROSTER.federation, OTHER): {
            "schools": int((NOW - timedelta(hours=1)).timestamp())
        },
    }
    later = replace(HELD, version=4)
    assert at.exchange("social", [note("social", later)]) == []
    at.exchange("hospital", [note("hospital", later)])
    assert len(at.exchange("police", [note("police")])) == 2, "of its own, a later one too"
    assert len(at.exchange("schools", [note("schools")])) == 1, "what it holds now, with no line but others'"


def test_a_gateway_keeps_nobody_elses_word_and_none_of_who_has_left() -> None:
    now, at_s = [ROSTER], [0.0]
    at = Comparing(lambda: now[0], lambda: at_s[0])
    at.exchange("hospital", [note("schools")])
    assert at.exchange("social", [note("social")]) == []
    at.exchange("schools", [note("schools")])
    assert len(at.exchange("social", [note("social")])) == 1
    now[0] = roster("social", "police", "hospital")
    assert at.exchange("social", [note("social")]) == []
    at.exchange("hospital", [note("hospital")])
    counts = [len(at.exchange("social", [note("social")])) for _ in range(10)]
    assert counts == [1] * 5 + [0] * 5, "three were asked before; eight at once are enough"
    at_s[0] = 10.0
    assert len(at.exchange("social", [note("social")])) == 1
    with pytest.raises(FrameMalformed):
        at.exchange("social", [note("social")] * (MAX_NOTES + 1))
    with pytest.raises(FrameMalformed):
        at.exchange("social", [b"x" * (MAX_NOTE + 1)])


def test_a_line_made_up_under_anothers_name_is_not_passed_on() -> None:
    at = Comparing(lambda: ROSTER, lambda: 0.0)
    line = note("schools").splitlines(keepends=True)[-1]
    broken = line[:60] + (b"A" if line[60:61] != b"A" else b"B") + line[61:]
    assert at.exchange("hospital", [note("hospital") + broken]) == []
    (found,) = at.exchange("social", [note("social")])
    assert open_told(found, ROSTER).times.keys() == {"hospital"}
    assert b"schools" not in found
