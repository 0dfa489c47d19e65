"""Writes a made-up population out: each agency's export and mapping, who is who, and labelled questions.

Promises: the same wishes give the same bytes, in bounded memory. Rows of one household are scattered among
          the ten thousand around them, so that order tells little.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TextIO

from elsewhere.demo.agencies import agencies
from elsewhere.demo.asked import Asked, QuestionDrawer
from elsewhere.demo.children import Household
from elsewhere.demo.draw import Draw
from elsewhere.demo.exports import SHAPES, ExportWriter
from elsewhere.demo.households import Region
from elsewhere.demo.parquet import ParquetWriter
from elsewhere.demo.population import views
from elsewhere.demo.questions import placed_records
from elsewhere.demo.records import Record
from elsewhere.demo.tables import TableWriter

_WINDOW = 10_000
_TRUTH = ("agency", "row", "person_id", "about", "household", "culture", "birth", "shield", "errors")
_CHILDREN = (
    *("about", "household", "culture", "sex", "given", "family", "known_as", "other_families", "birth_date"),
    *("birth", "postcodes", "nhs_number", "upn", "is_hidden", "is_adopted", "given_before", "family_before"),
)
_QUESTIONS = (
    *("question", "asker", "given", "family", "birth_date", "birth_date_accuracy", "postcode", "nhs_number"),
    *("upn", "about", "culture", "birth", "known_to", "hidden_at", "sibling_at", "errors"),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to write. `only`: agencies, all if empty; `questions`: how many; `truth`: say who is who.

    `form`: of the exports, `csv` or `parquet`; `studies`: tables of events beside them, of the year before.
    """

    out: Path
    only: tuple[str, ...] = ()
    questions: int = 0
    truth: bool = False
    form: str = "csv"
    studies: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """One agency's export and how many rows it holds."""

    agency: str
    path: Path
    mapping: Path
    rows: int


def answers(wishes: Wishes) -> tuple[Path, ...]:
    """Name the files that are written beside the exports, and that say what is true of them."""
    names = [*(("truth.csv", "children.csv") if wishes.truth else ())]
    return tuple(wishes.out / name for name in (*names, *(("questions.csv",) if wishes.questions else ())))


def left_beside(wishes: Wishes) -> tuple[Path, ...]:
    """Name the exports in the folder that this population does not replace: they may be of another one."""
    written = {
        f"{agency.id}.{wishes.form}" for agency in agencies() if not wishes.only or agency.id in wishes.only
    }
    names = [f"{agency.id}.{form}" for agency in agencies() for form in ("csv", "parquet")]
    return tuple(wishes.out / name for name in names if name not in written and (wishes.out / name).exists())


def drop_stale_answers(wishes: Wishes) -> tuple[Path, ...]:
    """Remove what an earlier population left there and this one does not replace: it is true of no export.

    Returns: what was removed. A file of that name with other columns is somebody's own, and stays.
    """
    removed = []
    for name, columns in (("truth.csv", _TRUTH), ("children.csv", _CHILDREN), ("questions.csv", _QUESTIONS)):
        path = wishes.out / name
        if path in answers(wishes) or not path.is_file():
            continue
        head = ",".join(columns).encode() + b"\n"
        with path.open("rb") as file:
            is_ours = file.read(len(head)) == head
        if is_ours:
            path.unlink()
            removed.append(path)
    return tuple(removed)


@dataclass(slots=True)
class _Desk:
    """One agency's rows on their way out: a window of them is shuffled, then written."""

    agency: str
    writer: ExportWriter | ParquetWriter
    draw: Draw
    truth: csv.DictWriter[str] | None
    waiting: list[tuple[Record, Household | None]] = field(default_factory=list)

    def add(self, records: Iterable[Record], household: Household | None) -> None:
        """Take records in; some leave when enough are waiting."""
        self.waiting += ((record, household) for record in records)
        if len(self.waiting) >= _WINDOW:
            self.send(len(self.waiting) // 2)

    def send(self, count: int) -> None:
        """Write so many of those that wait."""
        self.draw.shuffle(self.waiting)
        leaving, self.waiting = self.waiting[:count], self.waiting[count:]
        if self.truth:
            for row, (record, household) in enumerate(
                leaving, start=self.writer.rows + self.writer.first_row
            ):
                self.truth.writerow(_truth(self.agency, row, record, household))
        self.writer.add(record for record, _ in leaving)


def write_population(region: Region, wishes: Wishes) -> tuple[Written, ...]:
    """Write `<agency>.csv` (or `.parquet`) and `<agency>.toml` for each agency into a folder, made if it is
    not there.

    With `truth`, also `truth.csv` (whom each row of each export is about) and `children.csv` (who the
    children truly are); with `questions`, `questions.csv`. docs/population.md describes their columns.
    """
    out = wishes.out
    out.mkdir(parents=True, exist_ok=True)
    chosen = [agency for agency in agencies() if not wishes.only or agency.id in wishes.only]
    drawer = QuestionDrawer(region, wishes.questions)
    with ExitStack() as open_files:

        def table(name: str, columns: tuple[str, ...]) -> csv.DictWriter[str]:
            file = (out / name).open("w", encoding="utf-8", newline="")
            return _table(open_files.enter_context(file), columns)

        truth = table("truth.csv", _TRUTH) if wishes.truth else None
        children = table("children.csv", _CHILDREN) if wishes.truth else None
        desks = {}
        for agency in chosen:
            file = open_files.enter_context((out / f"{agency.id}.{wishes.form}").open("wb"))
            draw = Draw(region.seed, agency.id, "order")
            writer = (ParquetWriter if wishes.form == "parquet" else ExportWriter)(file, SHAPES[agency.id])
            desks[agency.id] = _Desk(agency.id, writer, draw, truth)
            desks[agency.id].add(placed_records(agency, seed=region.seed, today=region.today), None)
        year = region.today.year - 1
        tables = TableWriter(out, seed=region.seed, year=year, files=open_files) if wishes.studies else None
        # Questions say who knows a child, so they need every agency's view; so do tables.
        for view in views(region, only=() if wishes.questions or wishes.studies else wishes.only):
            if tables:
                tables.add(view)
            for id, desk in desks.items():
                desk.add(view.records[id], view.household)
            if wishes.questions:
                drawer.see(view)
            if children:
                children.writerows(_child_rows(view.household))
        for desk in desks.values():
            desk.send(len(desk.waiting))
            desk.writer.close()
        if wishes.questions:
            rows = enumerate(drawer.questions(), start=1)
            table("questions.csv", _QUESTIONS).writerows(question_row(n, asked) for n, asked in rows)
    return tuple(_written(wishes, desk) for desk in desks.values())


def mapping_of(agency: str, form: str = "csv") -> str:
    """Return the mapping file that describes the agency's export to `elsewhere node load`."""
    text = resources.files("elsewhere.demo").joinpath("mappings", f"{agency}.toml").read_text("utf-8")
    if form == "csv":
        return text
    return re.sub(r"^\[source\.csv\]\n(?:.+\n)*", "[source.parquet]\n", text, flags=re.MULTILINE)


def _written(wishes: Wishes, desk: _Desk) -> Written:
    path, mapping = wishes.out / f"{desk.agency}.{wishes.form}", wishes.out / f"{desk.agency}.toml"
    mapping.write_text(mapping_of(desk.agency, wishes.form), "utf-8")
    return Written(desk.agency, path, mapping, desk.writer.rows)


def _table(file: TextIO, columns: tuple[str, ...]) -> csv.DictWriter[str]:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    return writer


def _truth(agency: str, row: int, record: Record, household: Household | None) -> dict[str, object]:
    place = int(record.about[1:]) if record.about[0] in "CB" else -1
    births = [c.birth for c in household.children if c.place == place] if household else []
    return {
        "agency": agency,
        "row": row,
        "person_id": record.person_id,
        "about": record.about,
        "household": household.number if household else "",
        "culture": household.culture if household else "",
        "birth": births[0] if births else "",
        "shield": record.shield,
        "errors": ";".join(record.errors),
    }


def _child_rows(household: Household) -> Iterable[dict[str, object]]:
    for child in household.children:
        before = child.before
        yield {
            "about": f"C{child.place}",
            "household": child.household,
            "culture": child.culture,
            "sex": child.sex,
            "given": " ".join(child.given),
            "family": child.family,
            "known_as": child.known_as,
            "other_families": ";".join(child.other_families),
            "birth_date": child.born.isoformat(),
            "birth": child.birth,
            "postcodes": ";".join(child.postcodes),
            "nhs_number": child.nhs_number,
            "upn": child.upn,
            "is_hidden": int(child.is_hidden),
            "is_adopted": int(before is not None),
            "given_before": " ".join(before.given) if before else "",
            "family_before": before.family if before else "",
        }


def question_row(number: int, asked: Asked) -> dict[str, object]:
    """One row of `questions.csv`."""
    record = asked.record
    return {
        "question": number,
        "asker": asked.asker,
        "given": " ".join(record.given),
        "family": record.family,
        "birth_date": record.born.isoformat() if record.born else "",
        "birth_date_accuracy": record.accuracy,
        "postcode": next(itertools.chain(record.postcodes, [""])),
        "nhs_number": record.nhs_number,
        "upn": record.upn,
        "about": f"C{asked.child.place}",
        "culture": asked.child.culture,
        "birth": asked.child.birth,
        "known_to": ";".join(asked.known_to),
        "hidden_at": ";".join(asked.hidden_at),
        "sibling_at": ";".join(asked.sibling_at),
        "errors": ";".join(record.errors),
    }
