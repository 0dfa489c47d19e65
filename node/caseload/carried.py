"""Location shields that a child's other records keep when the row that told of the shield is gone.

Sees:     sources and person ids there.
Promises: a shield covers every record of the child until a row of the person it was set for says NONE. While
          both persons are in force, the grouping of each load decides afresh whose records are covered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from node.caseload.shields import NONE, SHIELD_LOCATION, strictest

PersonRef: TypeAlias = tuple[str, str]  # source, person id there
Origins: TypeAlias = Mapping[PersonRef, frozenset[PersonRef]]  # covered person -> for whom the shield was set


def still_carried(
    carried: Origins, standing: Mapping[PersonRef, str], present: Collection[PersonRef]
) -> Origins:
    """Keep what nothing else tells: shields that stand, where they were set or whom they cover being absent.

    Only a load that has records of both can tell by them whether they are one child.
    """
    stands = {person for person, shield in standing.items() if shield == SHIELD_LOCATION}
    here = frozenset(present)
    lost = {
        person: (origins & stands) - (here if person in here else frozenset())
        for person, origins in carried.items()
    }
    return {person: origins for person, origins in lost.items() if origins}


def shields_with(standing: Mapping[PersonRef, str], carried: Origins) -> dict[PersonRef, str]:
    """The shield of each person, by what was stated for it and what it is covered by."""
    covered = {person: strictest((standing.get(person, NONE), SHIELD_LOCATION)) for person in carried}
    return {**standing, **covered}


def carry_on(
    children: Iterable[Collection[PersonRef]],
    standing: Mapping[PersonRef, str],
    lost: Origins,
    present: Collection[PersonRef],
) -> Origins:
    """Work out who is covered by whom from now on.

    Args:
        children: the persons of each child whose location is shielded.
        standing: the shields stated.
        lost: what `still_carried` gave.
        present: those of its persons that have a record in force.
    """
    after = {person: origins for person, origins in lost.items() if person not in present}
    for child in children:
        told = {person for person in child if standing.get(person) == SHIELD_LOCATION}
        told.update(origin for person in child for origin in lost.get(person, ()))
        for person in child:
            if origins := frozenset(told - {person}):
                after[person] = origins
    return after
