"""A roster is fresh as long as others say so, and nobody can be made to believe that for a week."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elsewhere.errors import NotActive
from elsewhere.freshness import HARD, RosterStale, fresh_at, sign_as_gateway, sign_as_member
from elsewhere.roster import Member, Roster
from elsewhere.signing import SigningKey
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.note import add_lines
from gateway.freshening import SHOWN, Freshening
from node.membership.vouched import Vouched
from tests.partnership import first_roster

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
NAMES = ("social", "police", "hospital", "schools")
KEYS = {name: SigningKey.from_seed(bytes([n]) * 32) for n, name in enumerate((*NAMES, "gateway"), 1)}
OLD = NOW - timedelta(days=30)


def roster(*names: str, version: int = 1) -> Roster:
    members = [Member(n, n.title(), "POLICE", n.title(), "active", KEYS[n].public) for n in names or NAMES]
    made = first_roster(*members, issued=OLD, until=NOW + timedelta(days=60))
    return replace(
        made,
        version=version,
        previous_digest=None if version == 1 else bytes(32),
        gateway_key=KEYS["gateway"].public,
    )


def note(over: Roster, **at: datetime) -> bytes:
    """What a gateway gives, with lines of some members, each of its time."""
    lines = [sign_as_member(over, name, KEYS[name], when) for name, when in at.items()]
    return add_lines(sign_as_gateway(over, KEYS["gateway"]), lines).encode()


def test_it_is_as_fresh_as_the_second_newest_of_the_others_says() -> None:
    held, hour = roster(), timedelta(hours=1)
    found = note(held, social=NOW, police=NOW - hour, hospital=NOW - 2 * hour, schools=NOW - 3 * hour)
    assert fresh_at(found, held, "social", NOW) == NOW - 2 * hour
    assert fresh_at(found, held, "police", NOW) == NOW - 2 * hour
    assert fresh_at(found, held, "schools", NOW) == NOW - hour


def test_one_other_is_not_enough_where_there_are_more() -> None:
    held = roster()
    assert fresh_at(note(held, police=NOW), held, "social", NOW) is None
    both = roster("social", "police")
    assert fresh_at(note(both, police=NOW), both, "social", NOW) == NOW
    alone = roster("social")
    assert fresh_at(note(alone), alone, "social", NOW) == NOW


def test_what_others_say_of_another_roster_or_tomorrow_counts_for_nothing() -> None:
    held, newer = roster(), roster(version=2)
    assert fresh_at(note(newer, police=NOW, hospital=NOW), held, "social", NOW) is None
    tomorrow = NOW + timedelta(days=1)
    assert fresh_at(note(held, police=tomorrow, hospital=tomorrow), held, "social", NOW) is None


@pytest.mark.parametrize("signer", ["police", "gateway"])
def test_a_line_by_another_key_is_refused(signer: str) -> None:
    held = roster()
    forged = sign_as_member(held, "hospital", KEYS[signer], NOW)
    found = add_lines(note(held, police=NOW).decode(), [forged]).encode()
    assert fresh_at(found, held, "social", NOW) is None  # of a key that nobody knows, so of nobody
    with pytest.raises(NoteInvalid):
        fresh_at(note(held).replace(b"roster\n1\n", b"roster\n2\n"), held, "social", NOW)


def test_nobody_goes_on_for_a_week_with_a_roster_that_nobody_vouches_for(tmp_path: Path) -> None:
    held, vouched = roster(), Vouched(tmp_path)
    vouched.check(held, OLD + HARD - timedelta(seconds=1))  # it was new when it was signed
    with pytest.raises(RosterStale, match="two other members"):
        vouched.check(held, OLD + HARD)
    assert vouched.take(note(held, police=NOW, hospital=NOW), held, "social", NOW)
    vouched.check(held, NOW + HARD - timedelta(seconds=1))
    with pytest.raises(RosterStale):
        vouched.check(held, NOW + HARD)


def test_a_restart_and_another_process_know_what_was_learnt(tmp_path: Path) -> None:
    held, other = roster(), Vouched(tmp_path)
    Vouched(tmp_path).take(note(held, police=NOW, hospital=NOW), held, "social", NOW)
    other.look(held, "social")
    other.check(held, NOW)
    (tmp_path / "vouched.note").write_bytes(b"damaged")
    again = Vouched(tmp_path)
    again.look(held, "social")
    with pytest.raises(RosterStale):
        again.check(held, NOW)


def test_an_older_word_takes_nothing_back(tmp_path: Path) -> None:
    held, vouched = roster(), Vouched(tmp_path)
    before = NOW - timedelta(days=2)
    assert vouched.take(note(held, police=NOW, hospital=NOW), held, "social", NOW)
    assert not vouched.take(note(held, police=before, hospital=before), held, "social", NOW)
    assert vouched.newest(held) == NOW


def test_a_gateway_shows_the_newest_lines_of_others_over_its_own_roster() -> None:
    now = [roster()]
    at = Freshening(lambda: now[0], KEYS["gateway"])
    at.exchange("police", sign_as_member(now[0], "police", KEYS["police"], NOW - timedelta(days=1)))
    at.exchange("police", sign_as_member(now[0], "police", KEYS["police"], NOW))
    at.exchange("police", sign_as_member(now[0], "police", KEYS["police"], NOW - timedelta(days=2)))
    at.exchange("hospital", sign_as_member(now[0], "hospital", KEYS["hospital"], NOW))
    at.exchange("schools", sign_as_member(now[0], "schools", KEYS["police"], NOW))  # not its own
    found = at.exchange("social", "")
    assert fresh_at(found.encode(), now[0], "social", NOW) == NOW
    assert found.count("/witness ") == 2 <= SHOWN
    now[0] = roster(version=2)
    assert at.exchange("social", "").count("/witness ") == 0
    with pytest.raises(NotActive):
        at.exchange("nobody", "")
