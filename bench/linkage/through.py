"""The same data sets through real nodes: real loads, and questions at a desk, over mTLS, sealing and tags.

Promises: each custodian holds one data set and nothing else; each question goes to the custodian of its data.
          A record's service is named after whom it is truly about, so that an answer tells who was found.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bench.federation import SEARCHER, Settings, Shape, made, running
from bench.linkage.cases import Asked, DataSet
from bench.linkage.score import Tally, ask, shelve
from bench.timedload import run_load
from elsewhere.asking import Ask, CustodianAnswer, State
from elsewhere.matchkeys import current_key_set
from elsewhere.person.identity import Person
from elsewhere.sdk.desk import Desk

ASKERS = 6
_COLUMNS = ("id", "given", "family", "born", "known", "postcode", "past", "aliases", "service")
_MAPPING = """\
[source]
name = "linkage"
max_age_days = 7
date_formats = ["%Y-%m-%d"]

[source.csv]

[person]
id = "id"
given = "given"
family = "family"
birth_date = "born"
birth_date_accuracy = "known"
postcode = "postcode"
past_postcodes = { columns = ["past"], separator = "|" }
aliases = { columns = ["aliases"], separator = "|" }

[record]
status = { always = "CURRENT" }
service = "service"
in_hours = { text = "0000 000 001" }
out_of_hours = { text = "0000 000 002" }
"""


@dataclass(frozen=True, slots=True)
class Through:
    """What one data set gave, through nodes and in memory."""

    data: DataSet
    total: Tally
    by_culture: dict[str, Tally]
    same: int  # questions answered as in memory: nobody, possibly somebody, or a child


def cut(data: DataSet, each: int) -> DataSet:
    """The same data with at most so many present and so many absent children of a culture asked about."""
    held = {record.child for record in data.held}
    taken: Counter[tuple[str, bool]] = Counter()
    asked = []
    for one in data.asked:
        kind = (one.culture, one.child in held)
        taken[kind] += 1
        if taken[kind] <= each and one.person.names:
            asked.append(one)
    return replace(data, held=[record for record in data.held if record.person.names], asked=asked)


def measure(sets: Sequence[DataSet], say: Callable[[str], None]) -> list[Through]:
    """Load each data set into a node of its own and ask its questions."""
    shape = Shape(len(sets), max(len(data.held) for data in sets), kind="-linkage")

    def stock(node: Path, number: int) -> None:
        _write(node, sets[number - 1])
        run_load(node, "linkage.csv", "linkage.toml")

    made(shape, say, stock=stock, afresh=True)
    with running(shape, Settings(in_flight=ASKERS), say) as fed, Desk(fed.folder / SEARCHER) as desk:
        return [_ask(desk, data, agency) for data, agency in zip(sets, shape.agencies[1:], strict=True)]


def _ask(desk: Desk, data: DataSet, agency: str) -> Through:
    """Ask every question of one data set, some at a time, then the same in memory."""

    def one(job: tuple[int, Asked]) -> CustodianAnswer:
        number, asked = job
        ask = Ask(
            asked.person, "S47_ENQUIRY", "RED", case_reference=f"L-{number}", asker=f"worker-{number}",
            custodians=(agency,),
        )  # fmt: skip
        return next(event for event in desk.events(ask) if isinstance(event, CustodianAnswer))

    with ThreadPoolExecutor(ASKERS) as pool:
        answers = list(pool.map(one, enumerate(data.asked)))
    found = Through(data, Tally(), {}, 0)
    held = {record.child for record in data.held}
    for asked, answer in zip(data.asked, answers, strict=True):
        culture = found.by_culture.setdefault(asked.culture, Tally())
        for tally in (found.total, culture):
            _count(tally, asked, answer, is_present=asked.child in held)
    return replace(found, same=_agreement(data, answers))


def _count(tally: Tally, asked: Asked, answer: CustodianAnswer, *, is_present: bool) -> None:
    """Add one answer. A possible one names nobody: about a held child it is taken to be about that child."""
    if not answer.state.is_hit and answer.state is not State.NOTHING_RETURNED:
        raise SystemExit(f"a question was not answered: {answer.state.name} {answer.code}")
    is_hit = answer.state.is_hit
    is_definite = is_hit and answer.state is not State.POSSIBLE
    if not is_present:
        tally.absent += 1
        tally.absent_hit += is_hit
        tally.absent_match += is_definite
        return
    is_found = is_hit and (not is_definite or answer.contact.service == _service(asked.child))
    tally.present += 1
    tally.found += is_found
    tally.matched += is_found and is_definite
    tally.wrong += is_hit and not is_found


def _agreement(data: DataSet, answers: Sequence[CustodianAnswer]) -> int:
    """How many questions were answered in the same way as the rules answer them in memory."""
    shelf = shelve(data.held, current_key_set())
    same = 0
    for asked, answer in zip(data.asked, answers, strict=True):
        one = ask(shelf, replace(data, asked=[asked])).total
        is_hit, is_definite = one.found + one.wrong + one.absent_hit, one.matched + one.absent_match
        definite = answer.state.is_hit and answer.state is not State.POSSIBLE
        same += bool(is_hit) == answer.state.is_hit and (not is_hit or bool(is_definite) == definite)
    return same


def _write(node: Path, data: DataSet) -> None:
    """Write the export and its mapping into a node's folder."""
    (node / "linkage.toml").write_text(_MAPPING, "utf-8")
    with (node / "linkage.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for number, record in enumerate(data.held):
            row = _row(record.person)
            writer.writerow((record.source_id or f"R{number}", *row, _service(record.child)))


def _row(person: Person) -> Iterator[str]:
    """The cells of a person between id and service."""
    name, *aliases = person.names
    date = person.birth_date
    yield " ".join(name.given)
    yield name.family
    yield (date.date.isoformat() if date.date else date.written) if date else ""
    yield date.accuracy if date else ""
    yield person.postcodes[0] if person.postcodes else ""
    yield "|".join(person.postcodes[1:])
    yield "|".join(f"{alias.family}, {' '.join(alias.given)}" for alias in aliases)


def _service(child: int) -> str:
    return f"About {child}"
