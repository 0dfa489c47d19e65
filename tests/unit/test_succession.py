"""From roster to roster: only a quorum of the stewards before makes the next one, and nothing goes back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from elsewhere.anchor import Federation
from elsewhere.canonical import canonical_json
from elsewhere.errors import (
    DocumentInvalid,
    ElsewhereError,
    RosterForked,
    RosterRollback,
    SignatureInvalid,
)
from elsewhere.roster import Member, Roster, Steward
from elsewhere.signing import SigningKey
from elsewhere.succession import (
    SHOWN_CHAIN_BYTES,
    RosterGap,
    Succession,
    chain_from_bytes,
    chain_to_bytes,
    check_successor,
    open_succession,
    shown_chain,
    sign_roster,
)
from tests.partnership import KEYS, STEWARDS, anchor_of, first_roster, signed, sole, steward, steward_key

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
STRANGER = SigningKey.from_seed(b"\x02" * 32)
POLICE = Member("police", "Police", "POLICE", "Police", "active", b"\x03" * 32)
FIRST = first_roster(POLICE, issued=NOW, until=NOW + timedelta(days=90))  # four stewards; three must sign
ANCHOR = anchor_of(FIRST)
HELD = sole(FIRST)


def after(roster: Roster, **changes: Any) -> Roster:
    """The next roster."""
    terms: dict[str, Any] = {"version": roster.version + 1, "previous_digest": roster.digest}
    return replace(roster, **{**terms, **changes})


def with_stewards(roster: Roster, *agencies: str) -> Roster:
    """The next roster, with these stewards and a majority of them."""
    stewards = tuple(map(steward, agencies))
    version = roster.version + 1
    return after(roster, stewards=stewards, quorum=len(stewards) // 2 + 1, stewards_since=version)


def keys(*agencies: str) -> list[SigningKey]:
    return [steward_key(agency) for agency in agencies]


SECOND = after(FIRST)


def test_a_quorum_of_the_stewards_held_makes_the_next_roster() -> None:
    found = HELD.follow(sign_roster(KEYS[1:], SECOND))

    assert (found.roster, found.chain) == (SECOND, HELD.chain)
    assert found.follow(sign_roster(KEYS[:3], SECOND)) is found


def repeated(roster: Roster, key: SigningKey) -> bytes:
    """An envelope with one steward's signature three times."""
    envelope = json.loads(sign_roster([key], roster))
    return canonical_json({**envelope, "signatures": 3 * envelope["signatures"]})


@pytest.mark.parametrize(
    "envelope",
    [
        sign_roster(KEYS[:2], SECOND),
        sign_roster([*KEYS[:2], STRANGER], SECOND),
        sign_roster([STRANGER], SECOND),
        repeated(SECOND, KEYS[0]),
        b"{}",
    ],
    ids=["two of four", "two and a stranger", "a stranger", "one three times", "no envelope"],
)
def test_a_roster_without_a_quorum_is_refused(envelope: bytes) -> None:
    with pytest.raises(SignatureInvalid):
        HELD.follow(envelope)


def test_a_quorum_above_the_majority_counts() -> None:
    strict = sole(replace(FIRST, quorum=4))
    following = after(strict.roster)

    with pytest.raises(SignatureInvalid):
        strict.follow(sign_roster(KEYS[:3], following))
    assert strict.follow(sign_roster(KEYS, following)).roster == following


def test_an_older_roster_is_refused() -> None:
    held = HELD.follow(signed(SECOND))

    with pytest.raises(RosterRollback):
        held.follow(signed(FIRST))


@pytest.mark.parametrize(
    "rival",
    [
        replace(SECOND, previous_digest=bytes(32)),
        replace(FIRST, members=()),
        replace(SECOND, federation="southshire"),
    ],
    ids=["broken link", "same version", "other federation"],
)
def test_two_rosters_that_contradict_each_other_are_refused(rival: Roster) -> None:
    with pytest.raises(RosterForked):
        HELD.follow(signed(rival))


def test_two_first_rosters_with_other_stewards_do_not_pass_for_one() -> None:
    rival = with_stewards(FIRST, "police", "social", "council")
    other = with_stewards(FIRST, "police", "social", "hospital")
    held = HELD.follow(sign_roster([*KEYS, *keys("council")], rival))

    with pytest.raises(RosterForked):
        held.follow(sign_roster([*KEYS, *keys("council")], other))


def test_versions_may_be_missed_while_the_stewards_stay() -> None:
    assert HELD.follow(signed(replace(SECOND, version=9, previous_digest=bytes(32)))).roster.version == 9


CHANGED = with_stewards(FIRST, "police", "social", "council")


@pytest.mark.parametrize(
    ("signers", "is_enough"),
    [
        (keys("police", "social", "hospital"), True),
        (keys("police", "hospital", "schools", "council"), True),
        (keys("police", "hospital", "schools"), False),  # a quorum before; one of those to come
        (keys("police", "social", "council"), False),  # all of those to come; two of four before
        (keys("council"), False),
    ],
    ids=["both", "both, with the newcomer", "old only", "new only", "newcomer"],
)
def test_stewards_change_by_a_quorum_of_the_old_and_of_the_new(
    signers: Sequence[SigningKey], is_enough: bool
) -> None:
    envelope = sign_roster(signers, CHANGED)
    if not is_enough:
        with pytest.raises(SignatureInvalid):
            HELD.follow(envelope)
        return
    found = HELD.follow(envelope)
    assert found.chain == (*HELD.chain, envelope)
    later = after(CHANGED)
    assert found.follow(sign_roster(keys("social", "council"), later)).roster == later
    with pytest.raises(SignatureInvalid):
        found.follow(sign_roster(keys("hospital", "schools", "police"), later))


def chain_of_changes() -> tuple[list[bytes], Roster]:
    """Four rosters that leave no first steward in office, one each; and a later one of the last stewards."""
    links, roster, before = [signed(FIRST)], FIRST, ["hospital", "police", "schools", "social"]
    for gone, come in zip(tuple(before), "abcd", strict=True):
        now = [agency for agency in before if agency != gone] + [f"new-{come}"]
        roster = with_stewards(roster, *now)
        links.append(sign_roster(keys(*dict.fromkeys([*before, *now])), roster))
        before = now
    return links, replace(roster, version=roster.version + 3, previous_digest=bytes(32))


def test_who_knows_the_first_roster_comes_in_after_every_steward_has_changed() -> None:
    links, last = chain_of_changes()
    envelope = sign_roster(keys("new-b", "new-c", "new-d"), last)

    found = open_succession(ANCHOR, links, envelope)

    assert (found.roster, found.chain) == (last, tuple(links))
    assert HELD.follow(envelope, links) == found
    assert open_succession(ANCHOR, links, links[-1]).roster.version == 5
    # Broken off after the chain was written and before the roster: what was in force before is.
    assert open_succession(ANCHOR, links, links[2]).roster.version == 3


@pytest.mark.parametrize(
    ("missing", "error"),
    [({1, 2}, SignatureInvalid), ({2, 3}, SignatureInvalid), ({4}, RosterGap), ({1, 2, 3, 4}, RosterGap)],
    ids=str,
)
def test_a_chain_with_a_hole_is_not_followed(missing: set[int], error: type[ElsewhereError]) -> None:
    links, last = chain_of_changes()
    envelope = sign_roster(keys("new-a", "new-b", "new-c", "new-d"), last)
    holed = [link for number, link in enumerate(links) if number not in missing]

    with pytest.raises(error):
        HELD.follow(envelope, holed)


def test_a_roster_under_stewards_never_seen_asks_for_those_between() -> None:
    with pytest.raises(RosterGap):
        HELD.follow(sign_roster(KEYS, replace(after(CHANGED), version=7)))


@pytest.mark.parametrize(
    "change",
    [
        {"stewards": (*STEWARDS[:3], Steward("social", "Thief", STRANGER.public))},
        {"stewards": STEWARDS[:3]},
        {"quorum": 4},
    ],
    ids=["another key", "one fewer", "another quorum"],
)
def test_stewards_never_change_unsaid(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentInvalid):
        HELD.follow(sign_roster(KEYS, after(FIRST, **change)))


def test_an_old_change_of_stewards_is_not_claimed_later() -> None:
    held = Succession(replace(SECOND, version=5, stewards_since=1), b"", HELD.chain)

    with pytest.raises(DocumentInvalid):
        held.follow(sign_roster(KEYS, replace(held.roster, version=7, stewards_since=3)))


@pytest.mark.parametrize(
    ("anchor", "chain", "error"),
    [
        (replace(ANCHOR, genesis=bytes(32)), HELD.chain, SignatureInvalid),
        (replace(ANCHOR, federation_id="southshire"), HELD.chain, SignatureInvalid),
        (ANCHOR, (sign_roster(KEYS[:2], FIRST),), SignatureInvalid),
        (ANCHOR, (signed(SECOND),), SignatureInvalid),
        (ANCHOR, (), SignatureInvalid),
        (ANCHOR, (b"{}",), SignatureInvalid),
    ],
    ids=["other genesis", "other federation", "two of four", "no first", "empty", "no roster"],
)
def test_nothing_is_believed_but_from_the_first_roster_on(
    anchor: Federation, chain: tuple[bytes, ...], error: type[ElsewhereError]
) -> None:
    with pytest.raises(error):
        open_succession(anchor, chain, signed(SECOND))


def test_what_a_gateway_shows_of_a_long_chain_is_its_newest_part() -> None:
    links = [bytes([n]) * 50_000 for n in range(9)]

    shown = shown_chain(links)

    assert shown == links[-5:]
    assert sum(map(len, shown)) <= SHOWN_CHAIN_BYTES
    assert shown_chain(HELD.chain) == list(HELD.chain)


def test_a_chain_survives_its_file() -> None:
    links, _ = chain_of_changes()

    assert chain_from_bytes(chain_to_bytes(links)) == tuple(links)
    for file in (b"[]", b"{}", b"[1]", b'["a",1]'):
        with pytest.raises(DocumentInvalid):
            chain_from_bytes(file)


def test_a_successor_rises_and_names_the_one_before() -> None:
    check_successor(FIRST, SECOND)
    check_successor(FIRST, FIRST)
    check_successor(FIRST, replace(SECOND, version=5, previous_digest=bytes(32)))


def test_a_member_is_given_another_key_beside_those_it_had() -> None:
    second = after(FIRST, members=(replace(POLICE, signing_key=b"\x04" * 32, earlier_keys=POLICE.keys),))
    held = HELD.follow(signed(second))
    rekeyed = held.roster.members[0]
    third = after(second, members=(replace(rekeyed, signing_key=b"\x05" * 32, earlier_keys=rekeyed.keys),))
    assert held.follow(signed(third)).roster.members[0].keys == tuple(bytes([n]) * 32 for n in (5, 4, 3))
    assert HELD.follow(signed(third)).roster == third, "also for who missed the second"


@pytest.mark.parametrize(
    "changes",
    [
        {"signing_key": b"\x06" * 32},
        {"signing_key": b"\x06" * 32, "earlier_keys": (b"\x03" * 32,)},
        {"signing_key": b"\x03" * 32, "earlier_keys": (b"\x04" * 32,)},
        {"signing_key": b"\x06" * 32, "earlier_keys": (b"\x03" * 32, b"\x04" * 32)},
        {"earlier_keys": ()},
        {"earlier_keys": (b"\x07" * 32, b"\x03" * 32)},
        {"signing_key": b"\x06" * 32, "earlier_keys": (b"\x04" * 32, b"\x03" * 32, b"\x07" * 32)},
    ],
    ids=[
        "the one before is not said",
        "one is left out",
        "one of before comes again",
        "in another order",
        "all are left out",
        "one is swapped",
        "an older one is made up",
    ],
)
def test_a_key_that_was_replaced_stays_known_as_that(changes: dict[str, Any]) -> None:
    second = after(FIRST, members=(replace(POLICE, signing_key=b"\x04" * 32, earlier_keys=POLICE.keys),))
    held = HELD.follow(signed(second))
    third = after(second, members=(replace(second.members[0], **changes),))
    with pytest.raises(DocumentInvalid, match="earlier_keys"):
        held.follow(signed(third))
    assert held.roster == second


def test_a_key_of_before_becomes_no_other_agencys() -> None:
    second = after(FIRST, members=(replace(POLICE, signing_key=b"\x04" * 32, earlier_keys=POLICE.keys),))
    strange = replace(POLICE, agency_id="school")
    with pytest.raises(DocumentInvalid, match="another's"):
        check_successor(second, after(second, members=(strange,)))
