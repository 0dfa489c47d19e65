"""The room for copies of catalogues: one bound for all, with a part for each that nobody else can take."""

from __future__ import annotations

import random

import pytest

from node.catalogues.holding import CatalogueName
from node.catalogues.room import Room
from node.errors import CatalogueNoRoom

MAX = 1600  # for four custodians: 200 each, and 800 for whoever needs more


def name(custodian: str, collection: str = "involvement", epoch: int = 1) -> CatalogueName:
    return CatalogueName(custodian, collection, epoch)


def room(custodians: int = 4, max_tags: int = MAX) -> Room:
    return Room(max_tags, lambda: custodians)


def fills(found: Room, custodian: str) -> int:
    """Have a custodian take all that it can, in many small steps; gives how much that is."""
    size = 0
    while True:
        try:
            found.take(name(custodian, epoch=2), size + 1)
        except CatalogueNoRoom:
            return size
        size += 1


def test_one_custodian_alone_has_its_part_and_half_of_what_is_common() -> None:
    assert fills(room(), "police") == 200 + 400
    assert fills(room(custodians=1), "police") == MAX
    assert fills(room(custodians=0), "police") == MAX


def test_whatever_some_have_taken_each_other_still_has_its_part() -> None:
    found = room()
    assert [fills(found, each) for each in ("police", "schools", "health")] == [600, 600, 200]
    assert fills(found, "social") == 200


def test_the_catalogues_of_one_custodian_count_together() -> None:
    found = room()
    found.take(name("police", "involvement"), 240)  # 270 with its spare
    found.take(name("police", "protected"), 240)
    with pytest.raises(CatalogueNoRoom):
        found.take(name("police", "protected", 2), 61)
    found.leave(name("police", "involvement"))
    found.take(name("police", "protected", 2), 61)


def test_what_is_held_grows_by_an_eighth_whoever_came_since() -> None:
    found = room()
    found.take(name("health"), 320)
    fills(found, "police")
    fills(found, "schools")

    found.take(name("health"), 360)  # its deltas, and a snapshot in the place of the one held
    with pytest.raises(CatalogueNoRoom):
        found.take(name("health"), 361)
    found.take(name("health"), 320)


def test_what_was_refused_changes_nothing() -> None:
    found = room()
    with pytest.raises(CatalogueNoRoom, match="601 tags; 600 are left"):
        found.take(name("police"), 601)
    assert fills(found, "police") == 600


def test_all_together_never_have_more_than_is_allowed() -> None:
    chance = random.Random(7)
    for custodians in (1, 2, 3, 7):
        found, taken = room(custodians, 1000), dict[CatalogueName, int]()
        for _ in range(2000):
            which = name(f"agency-{chance.randrange(custodians)}", epoch=chance.randrange(2))
            if chance.random() < 0.2:
                found.leave(which)
                taken.pop(which, None)
                continue
            tags = chance.randrange(1, 600)
            try:
                found.take(which, tags)
                taken[which] = tags
            except CatalogueNoRoom:
                continue
            assert sum(taken.values()) <= 1000


def test_parts_follow_the_number_of_custodians() -> None:
    count = [2]
    found = Room(MAX, lambda: count[0])
    assert fills(found, "police") == 800
    count[0] = 8
    assert fills(found, "schools") == 100 + 100, "of what is common, 700 are taken"
    assert [fills(found, f"agency-{n}") for n in range(6)] == [100] * 6
