"""A row that is corrected, and the one child it is of: found in the old writing and the new, as before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

import pytest
from sqlalchemy import func, select

from elsewhere.asking import State
from elsewhere.lookup import MAX_REVEALS
from elsewhere.matching import Verdict, VerdictKind, choose_reveals, judge
from elsewhere.matchkeys import MatchKey, question_keys
from elsewhere.oprf.voprf import generate_key, tag_each
from node.answering.heldkeys import keys_behind
from node.caseload.child import holders_of_each
from node.caseload.ending import drop_sets
from node.caseload.index import record_count
from node.caseload.load import retag
from node.keys.ring import key_ids
from node.store.caseload import FORMER, record
from node.store.engine import Store, open_store
from tests.caseload import ANN, BOB, EVA, KEYS, NOW, job, load_rows, person
from tests.fault.rig import somebody, until
from tests.federation import ZOE, federation
from tests.held import short_tags

Row = Mapping[str, str]
COLLECTION: Final = "protected"
CHILDREN: Final = 60
_GIVEN = (
    "Thomas",
    "Amelia",
    "Oluwaseun",
    "Katarzyna",
    "Mohammed",
    "Niamh",
    "Rhys",
    "Priya",
    "Ottoline",
    "Jack",
    "Wei",
    "Zofia",
)
_FAMILY = (
    "Smith",
    "Hughes",
    "Adeyemi",
    "Nowak",
    "Hussain",
    "Byrne",
    "Llewellyn",
    "Iyer",
    "Fairweather",
    "Marchbanks",
    "Zhang",
    "Kaya",
)
LATER = {(name, 2): generate_key(Random(number).randbytes) for number, (name, _) in enumerate(KEYS)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")


def ask(store: Store, asked: Row, epoch: int = 1) -> Verdict[int]:
    """What a custodian says, by what a searcher finds in its catalogue: no blinding, else the real parts."""
    keys = question_keys(person(asked))
    oprf = {**KEYS, **LATER}[COLLECTION, epoch]
    tags = tag_each(oprf, [key.data for key in keys])
    with store.read() as conn:
        shown = set(short_tags(conn, COLLECTION, epoch).tolist())
        hits = [(n, key) for n, key in enumerate(keys) if int.from_bytes(tags[n][:8]) in shown]
        revealed = choose_reveals(hits)
        missing = MAX_REVEALS - len(revealed)
        each = holders_of_each(
            conn, COLLECTION, epoch, [*(tags[slot] for slot, _ in revealed), *[bytes(32)] * missing]
        )
        found: dict[int, list[tuple[str, object]]] = {}
        behind: Sequence[MatchKey] = keys_behind(each)[: len(revealed)]
        for (_, key), holders, theirs in zip(revealed, each, behind, strict=False):
            for group in holders.groups:
                assert theirs.data == key.data
                found.setdefault(group, []).append((theirs.rule, theirs.strength))
    return judge(found, names_asked=True)  # type: ignore[arg-type]


def children(seed: int) -> list[dict[str, str]]:
    random = Random(seed)
    return [
        {
            "id": str(n),
            "given": random.choice(_GIVEN),
            "family": random.choice(_FAMILY) + random.choice(["", "son", "worth", "field"]),
            "dob": random.choice([f"{day:02}/{day % 12 + 1:02}/{2008 + n % 16}" for day in range(1, 28)]),
            "postcode": f"AB{random.randrange(1, 9)} {random.randrange(1, 9)}CD",
        }
        for n in range(CHILDREN)
    ]


def corrected(row: Row, random: Random) -> dict[str, str]:
    """The row with one thing in it put right."""
    kind = random.choice(["letter", "given", "dropped", "swapped", "day", "month", "moved"])
    new = dict(row)
    day, month, year = row["dob"].split("/")
    at = random.randrange(1, len(row["family"]) - 1)
    if kind == "letter":
        new["family"] = row["family"][:at] + random.choice("aeiouy") + row["family"][at + 1 :]
    elif kind == "given":
        new["given"] = row["given"][:-1] + random.choice("aeioy")
    elif kind == "dropped":
        new["family"] = row["family"][:at] + row["family"][at + 1 :]
    elif kind == "swapped":
        new["given"], new["family"] = row["family"], row["given"]
    elif kind == "day":
        new["dob"] = f"{int(day) % 27 + 1:02}/{month}/{year}"
    elif kind == "month":
        new["dob"] = f"{day}/{int(month) % 12 + 1:02}/{year}"
    else:
        new["postcode"] = "XY9 9ZZ"
    return new


def test_no_question_that_was_answered_before_is_missed_after_a_correction(tmp_path: Path) -> None:
    random = Random(7)
    old = children(7)
    new = [corrected(row, random) for row in old]
    asked = [*old, *new]
    asked += [{name: row[name] for name in ("given", "family", "dob")} for row in asked]
    said = []
    for name, loads in (("old", [old]), ("fresh", [new]), ("reloaded", [old, new])):
        (tmp_path / name).mkdir()
        with closing(open_store(f"sqlite:///{tmp_path / name / 'store.sqlite'}")) as store:
            for rows in loads:
                load_rows(store, rows)
            said.append([ask(store, one).kind for one in asked])
    before, fresh, after = said

    assert after.count(VerdictKind.NONE) == 0, "a question in either writing"
    for one, two, three in zip(before, fresh, after, strict=True):
        assert three is not VerdictKind.NONE or VerdictKind.NONE in (one, two)
    assert after.count(VerdictKind.MATCH) >= max(
        before.count(VerdictKind.MATCH), fresh.count(VerdictKind.MATCH)
    )


def test_a_former_writing_counts_and_speaks_for_nothing(store: Store) -> None:
    load_rows(store, [ANN, BOB])
    new = {**ANN, "family": "Leaworth"}
    report = load_rows(store, [new, BOB])
    with store.read() as conn:
        assert record_count(conn) == 2
    assert (report.loaded, report.unchanged, report.removed) == (2, 1, 0)
    assert ask(store, ANN) == ask(store, new)
    assert load_rows(store, [new, BOB]).unchanged == 2
    assert ask(store, ANN) == ask(store, new), "it outlasts reloads"
    assert load_rows(store, [ANN, BOB], source="other").children == 2
    assert ask(store, ANN).kind is VerdictKind.MATCH
    assert former(store) == 1
    load_rows(store, [ANN, BOB])
    assert former(store) == 1, "what is written again is no former writing, and what was corrected is one"


def test_nothing_opens_what_a_person_who_left_was_called(store: Store) -> None:
    load_rows(store, [ANN, BOB, EVA])
    load_rows(store, [{**ANN, "family": "Leaworth"}, BOB, EVA])
    load_rows(store, [BOB, EVA])

    assert ask(store, ANN).kind is VerdictKind.NONE
    assert former(store) == 0


def test_an_id_given_to_another_child_makes_no_former_writing(store: Store) -> None:
    load_rows(store, [ANN, BOB])
    load_rows(store, [{**BOB, "id": "1"}, {**EVA, "id": "2"}])

    assert ask(store, ANN).kind is VerdictKind.NONE
    assert former(store) == 0


@pytest.mark.parametrize("shield", ["place", "adopted"])
def test_a_shield_that_comes_takes_former_writings_away(store: Store, shield: str) -> None:
    load_rows(store, [ANN, BOB])
    new = {**ANN, "family": "Leaworth"}
    load_rows(store, [new, BOB])
    load_rows(store, [{**new, "shield": shield}, BOB])

    assert former(store) == 0
    load_rows(store, [{**new, "given": "Anna", "shield": shield}, BOB])
    assert former(store) == (1 if shield == "place" else 0), "one under the same shield is kept"
    load_rows(store, [{**new, "given": "Anna", "shield": "none"}, BOB])
    assert ask(store, {**new, "shield": ""}).kind is VerdictKind.MATCH


def test_a_former_writing_is_tagged_in_no_further_epoch_and_leaves_with_its_own(store: Store) -> None:
    load_rows(store, [ANN, BOB])
    new = {**ANN, "family": "Leaworth"}
    load_rows(store, [new, BOB])
    retag(job(store, keys={**KEYS, **LATER}))
    assert ask(store, ANN).kind is VerdictKind.MATCH
    with store.read() as conn:
        later = short_tags(conn, COLLECTION, 2).tolist()
    load_rows(store, [new, BOB], keys=LATER)
    assert former(store) == 1, "the first epoch is not over"
    drop_sets(store, key_ids(LATER), NOW)
    load_rows(store, [new, BOB], keys=LATER)

    assert former(store) == 0
    with store.read() as conn:
        assert short_tags(conn, COLLECTION, 2).tolist() == later
    assert ask(store, new, 2).kind is VerdictKind.MATCH


def former(store: Store) -> int:
    with store.read() as conn:
        return int(conn.execute(select(func.count()).where(record.c.status == FORMER)).scalar_one())


@pytest.mark.usefixtures("each_engine")
async def test_who_asks_in_the_old_writing_is_told_of_the_child(tmp_path: Path) -> None:
    old = {"given": "Thomas", "family": "Smith", "dob": "21/07/2012", "postcode": "AB5 6GH"}
    asked = {name: old[name] for name in ("given", "family", "dob")}
    slow = {"catalogue": {"tick_s": 3600}, "lookup": {"retry_s": 900.0, "deadline_ms": 5_000}}
    async with federation(tmp_path) as made:
        made.join("social", [], **slow)
        made.join("police", [old, ZOE], **slow)
        await made.start("social", "police")
        await asyncio.to_thread(made.load, "police", [{**old, "family": "Smyth"}, ZOE])
        publisher = made.nodes["police"].publisher
        version = publisher.head("protected", 1).version
        await publisher.make()
        await until(lambda: publisher.head("protected", 1).version > version)
        found = await made.ask("social", somebody(row=asked))

    assert found.state("police") is State.KNOWN_CURRENT
