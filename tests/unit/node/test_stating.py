"""What a node's next key statement says, as time goes by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.statement import KeyStatement
from node.answering.kept import REDEEMABLE_FOR
from node.keys.ring import KeyRing, Name, add_oprf, add_sealing
from node.keys.stating import LINGER, NOTHING, Plan, Schedule, Stating

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RANDOM = Random(7).randbytes
SCHEDULE = Schedule()
SECOND: frozenset[Name] = frozenset({("involvement", 2), ("protected", 2)})
THIRD: frozenset[Name] = frozenset({("involvement", 3), ("protected", 3)})


class Keys:
    """A folder of keys, and the statements made of it one after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        KeyRing.create(folder, tls_pem=b"pem", random=RANDOM)
        self.held: KeyStatement | None = None

    def state(self, now: datetime, plan: Plan = NOTHING) -> bool:
        """Make the next statement; True if there was something to state."""
        ring = KeyRing.load(self.folder)
        made = Stating("police", ring, SCHEDULE, now, self.held, plan).next()
        self.held = made or self.held
        return made is not None

    def add(self, names: frozenset[Name]) -> Plan:
        for name in names:
            add_oprf(self.folder, name, RANDOM)
        return Plan(begin=dict.fromkeys(names, SCHEDULE.overlap))

    @property
    def stated(self) -> KeyStatement:
        assert self.held is not None
        return self.held

    def epochs(self) -> list[int]:
        return [entry.epoch for entry in self.stated.oprf_keys if entry.collection == "involvement"]

    def asked(self, now: datetime) -> int | None:
        entry = self.stated.epoch_to_ask("involvement", now, lambda _: True)
        return entry.epoch if entry is not None else None


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = Keys(tmp_path)
    assert made.state(NOW)
    return made


def test_nothing_is_stated_twice_and_a_first_key_is_in_force_for_those_whose_clock_is_behind(
    keys: Keys,
) -> None:
    assert not keys.state(NOW + DAY)
    assert (keys.stated.version, keys.epochs()) == (1, [1])
    assert keys.asked(NOW - CLOCK_TOLERANCE) == 1


def test_a_new_epoch_is_stated_with_notice_and_the_one_before_ends_after_the_overlap(keys: Keys) -> None:
    later = NOW + 30 * DAY
    assert keys.state(later, keys.add(SECOND))
    assert keys.epochs() == [1, 2]
    begins = later + SCHEDULE.announce
    assert (keys.asked(later), keys.asked(begins)) == (1, 2)
    first, second = keys.stated.oprf_key("involvement", 1), keys.stated.oprf_key("involvement", 2)
    assert first is not None and second is not None  # noqa: PT018
    assert (second.valid_from_utc, first.valid_until_utc) == (begins, begins + SCHEDULE.overlap)
    end = first.valid_until_utc
    assert not keys.state(end + LINGER - timedelta(seconds=1)), "somebody may still redeem"
    assert keys.state(end + LINGER)
    assert keys.epochs() == [2]


def test_what_may_still_come_for_an_epoch_after_its_end_is_waited_for() -> None:
    assert LINGER >= CLOCK_TOLERANCE + REDEEMABLE_FOR


def test_a_key_that_is_there_but_not_ordered_is_not_stated(keys: Keys) -> None:
    keys.add(SECOND)
    assert not keys.state(NOW + HOUR)


def test_a_third_epoch_waits_for_room_which_is_made_soon(keys: Keys) -> None:
    begun = NOW + 30 * DAY
    keys.state(begun, keys.add(SECOND))
    now = begun + 2 * HOUR
    plan = keys.add(THIRD)
    assert keys.state(now, plan)
    assert keys.epochs() == [1, 2]
    first = keys.stated.oprf_key("involvement", 1)
    assert first is not None
    assert first.valid_until_utc == now + SCHEDULE.announce
    assert not keys.state(now + timedelta(minutes=1), plan), "shortened once"
    assert keys.state(first.valid_until_utc + LINGER, plan)
    assert keys.epochs() == [2, 3]


def test_an_epoch_that_nothing_follows_is_never_ended(keys: Keys) -> None:
    late = NOW + 400 * DAY
    assert keys.state(late)
    assert keys.asked(late) == 1
    assert not keys.state(late + HOUR)


def test_epochs_that_can_answer_nothing_are_dropped_and_the_next_is_in_force_at_once(keys: Keys) -> None:
    plan = keys.add(SECOND)
    first = frozenset({("involvement", 1), ("protected", 1)})
    assert keys.state(NOW + HOUR, Plan(drop=first))
    assert (keys.epochs(), keys.asked(NOW + HOUR)) == ([], None)
    assert keys.state(NOW + 2 * HOUR, plan)
    assert (keys.epochs(), keys.asked(NOW + 2 * HOUR)) == ([2], 2)


def test_a_sealing_key_is_sealed_to_until_the_next_one_and_opens_for_a_while_longer(keys: Keys) -> None:
    first = keys.stated.sealing_key(NOW)
    add_sealing(keys.folder, RANDOM)
    now = NOW + 7 * DAY
    assert keys.state(now)
    second = keys.stated.sealing_key(now)
    assert first is not None and second is not None  # noqa: PT018
    assert second.key_id != first.key_id
    assert {entry.key_id for entry in keys.stated.sealing_keys} == {first.key_id, second.key_id}
    assert not keys.state(first.not_after_utc)
    assert keys.state(first.not_after_utc + CLOCK_TOLERANCE)
    assert [entry.key_id for entry in keys.stated.sealing_keys] == [second.key_id]


def test_the_last_sealing_key_is_stated_anew_rather_than_none(keys: Keys) -> None:
    late = NOW + 100 * DAY
    assert keys.state(late)
    assert keys.stated.sealing_key(late) is not None


def test_a_key_replaced_under_its_own_name_is_stated_as_another(keys: Keys) -> None:
    before = keys.stated
    (keys.folder / "keys" / "oprf-involvement-1.key").unlink()
    keys.add(frozenset({("involvement", 1)}))
    assert keys.state(NOW + HOUR)
    after = keys.stated.oprf_key("involvement", 1)
    assert after != before.oprf_key("involvement", 1)
    assert replace(before, version=2) != keys.stated
