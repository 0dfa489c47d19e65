"""What processes that do not run have left of others' catalogues."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

import pytest

from node.catalogues.holding import CatalogueName
from node.catalogues.leftovers import drop_leftovers
from node.processes.place import Place

NAMES = ("main", "gone", "running", "resting")
SNAPSHOT, LOG = "peer.police.involvement.{}.4.cat", "peer.police.involvement.{}.log"
OWN = "involvement-2-7.cat"


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Place]:
    """Each with a copy of two epochs, and `main` with a file of the own catalogue."""
    made = {name: Place(tmp_path, name) for name in NAMES}
    for place in made.values():
        place.make()
        place.catalogues.mkdir()
        for epoch in (1, 2):
            for name in (SNAPSHOT, LOG):
                (place.catalogues / name.format(epoch)).touch()
    (made["main"].catalogues / OWN).touch()
    return made


def epochs(place: Place) -> set[int]:
    """The epochs of which there is a file."""
    return {int(path.name.split(".")[3]) for path in place.catalogues.glob("peer.*")}


def drop(node: Path, *, running: Collection[Place], known: Collection[str]) -> None:
    with contextlib.ExitStack() as stack:
        for place in running:
            stack.enter_context(place.alone())
        drop_leftovers(node, frozenset(known), lambda name: name == CatalogueName("police", "involvement", 2))


def test_what_may_be_held_no_longer_goes_from_the_folder_of_each_process_that_does_not_run(
    tmp_path: Path, places: dict[str, Place]
) -> None:
    drop(tmp_path, running=[places["running"]], known=NAMES)

    assert {name: epochs(place) for name, place in places.items()} == {
        "main": {2},
        "gone": {2},
        "running": {1, 2},  # it drops them itself
        "resting": {2},
    }
    assert (places["main"].catalogues / OWN).exists()


def test_of_a_process_that_is_forgotten_nothing_stays_and_of_others_what_may_be_held(
    tmp_path: Path, places: dict[str, Place]
) -> None:
    drop(tmp_path, running=[], known=["resting"])

    left = {name: epochs(place) for name, place in places.items()}
    assert left == {"main": set(), "gone": set(), "running": set(), "resting": {2}}
    assert (places["main"].catalogues / OWN).exists()


def test_a_snapshot_whose_log_was_never_written_goes_too(tmp_path: Path, places: dict[str, Place]) -> None:
    (places["main"].catalogues / LOG.format(1)).unlink()

    drop(tmp_path, running=[], known=NAMES)

    assert epochs(places["main"]) == {2}
