"""Whatever is loaded in whatever order, a location shield hides every row of the child until it is lifted."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from elsewhere.catalogue.tags import short_tags
from elsewhere.matchkeys import record_keys
from elsewhere.oprf.voprf import OprfKey, generate_key, tag_each
from node.store.caseload import record, tag, tag_set
from node.store.engine import Store, open_store
from tests import held
from tests.caseload import ANN, BOB, KEYS, load_rows, person

# (source, person id there), each with a postcode of its own, so that no other row has its keys.
PERSONS = [(source, ref) for source in ("cases", "visits") for ref in ("1", "2")]
ROWS = {
    (source, ref): ANN | {"id": ref, "postcode": f"AB{number} {number}XY"}
    for number, (source, ref) in enumerate(PERSONS, 1)
}
LATER = {(collection, 2): generate_key(Random(7).randbytes) for collection in ("involvement", "protected")}
Step = tuple[str, Mapping[str, str], bool]  # source, what each person's row says of shields, is epoch 2 there
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["cases", "visits"]),
        st.dictionaries(st.sampled_from(["1", "2"]), st.sampled_from(["", "place", "none", "no"])),
        st.booleans(),
    ),
    min_size=2,
    max_size=4,
)


@dataclass
class Model:
    """What the rules say, step by step: all rows but Bob's are one child's."""

    loaded: dict[str, set[str]] = field(default_factory=dict)
    stated: set[tuple[str, str]] = field(default_factory=set)
    covered: dict[tuple[str, str], set[tuple[str, str]]] = field(default_factory=dict)
    is_shielded: bool = False

    def load(self, source: str, says: Mapping[str, str]) -> None:
        """Take one reload into account."""
        self.loaded[source] = set(says)
        for ref, shield in says.items():
            if shield == "place":
                self.stated.add((source, ref))
            elif shield == "none":
                self.stated.discard((source, ref))
        here = self.here()
        known = {origin for p in here for origin in (p, *self.covered.get(p, ())) if origin in self.stated}
        self.covered |= {p: known - {p} for p in here}
        self.is_shielded = bool(known)

    def here(self) -> list[tuple[str, str]]:
        """The child's persons in force."""
        return [(source, ref) for source, refs in self.loaded.items() for ref in refs]


def _made(conn: Connection, collection: str, epoch: int) -> dict[tuple[str, str], set[bytes]]:
    """Every tag of a set that the store holds, by person."""
    query = (
        select(record.c.source, record.c.person_ref, tag.c.tag)
        .join(tag, tag.c.record_id == record.c.id)
        .join(tag_set, tag_set.c.id == tag.c.set_id)
        .where(tag_set.c.collection == collection, tag_set.c.epoch == epoch)
    )
    found: dict[tuple[str, str], set[bytes]] = {}
    for source, ref, value in conn.execute(query):
        found.setdefault((source, ref), set()).add(value)
    return found


def _tags(key: OprfKey, row: Mapping[str, str], *, with_postcode: bool = True) -> set[bytes]:
    keys = record_keys(person(row), with_postcode=with_postcode)
    return set(tag_each(key, [k.data for k in keys]))


def _check(store: Store, model: Model, keys: Mapping[tuple[str, int], OprfKey], shown: set[bytes]) -> None:
    """Compare all tags and the catalogue with what the model says; `shown` is what others may have seen."""
    with store.read() as conn:
        for (collection, epoch), key in keys.items():
            made = _made(conn, collection, epoch)
            theirs = {p: made[p] for p in made if p[1] != "B"}
            if collection == "protected":
                hides = model.is_shielded
                assert theirs == {p: _tags(key, ROWS[p], with_postcode=not hides) for p in model.here()}
                continue
            assert theirs == ({} if model.is_shielded else {p: _tags(key, ROWS[p]) for p in model.here()})
            shown |= set().union(*made.values())
            # No decoy either: the catalogue has what was once shown and not one entry more.
            entries = held.short_tags(conn, collection, epoch).tolist()
            own = {value for row in (*ROWS.values(), BOB) for value in _tags(key, row)}
            assert entries == sorted(short_tags(list(shown & own)).tolist())


@settings(max_examples=12, deadline=None)
@given(STEPS)
# The row that told of the shield goes; the child's rows elsewhere stay.
@example([("cases", {"1": "place"}, False), ("visits", {"1": ""}, False), ("cases", {}, False)])
# They stay hidden when they go and come back, and in an epoch that begins meanwhile.
@example([("cases", {"1": "place", "2": "no"}, False), ("cases", {}, True), ("cases", {"2": "none"}, True)])
# The two are never in one export again.
@example(
    [
        ("visits", {"1": "", "2": "place"}, False),
        ("visits", {"2": ""}, False),
        ("visits", {"1": ""}, False),
    ]
)
# It is lifted for all of them where it was set.
@example(
    [
        ("visits", {"1": "", "2": "place"}, False),
        ("visits", {"1": ""}, False),
        ("visits", {"2": "none"}, False),
    ]
)
def test_a_location_shield_hides_every_row_of_the_child_until_it_is_lifted(steps: Sequence[Step]) -> None:
    model, keys, shown = Model(), KEYS, set[bytes]()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'store.sqlite'}")
        for source, says, has_epoch in steps:
            keys = {**keys, **LATER} if has_epoch else keys
            rows = [BOB | {"id": "B"}, *(ROWS[source, ref] | {"shield": s} for ref, s in says.items())]
            load_rows(store, rows, source=source, keys=keys, allow_fewer=True)
            model.load(source, says)
            _check(store, model, keys, shown)
        store.close()
