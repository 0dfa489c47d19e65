"""A load that was killed goes on where it was: what it tagged is not tagged again, and nothing differs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from elsewhere.oprf.voprf import generate_key
from node.caseload import index, tagging
from node.caseload.load import load_file, retag
from node.caseload.workers import Derived, TagSet, Untagged, derive
from node.caseload.workplace import JOURNAL
from node.errors import LoadRefused
from node.store.engine import Store, open_store
from tests import held
from tests.caseload import ANN, BOB, EVA, KEYS, folder_of, found, job, load_rows, mapping, person, write_csv

ROOT = Path(__file__).resolve().parents[2]
_RANDOM = Random(12)
# A sibling row of Ann's tells of a shield: she is tagged before that is known, and again after.
ROWS = [
    ANN,
    ANN | {"id": "1b", "shield": "place", "postcode": "AB9 9ZZ"},
    *(
        {"id": f"N{n}", "given": "".join(_RANDOM.choices("abcdefgh", k=6)), "dob": "05/06/2015"}
        | {"family": "".join(_RANDOM.choices("abcdefgh", k=6)), "postcode": "AB1 1AA"}
        for n in range(50)
    ),
]
SEED, POINTS = 2026, 20


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The folder of a node that holds records, with a new export beside it."""
    folder = tmp_path / "base"
    folder.mkdir()
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
    load_rows(store, [BOB, EVA, ROWS[5]])
    store.close()
    write_csv(folder / "new.csv", ROWS)
    return folder


def _run(points: Mapping[Path, int]) -> list[list[str]]:
    """Load the new exports of folders, each in a process of its own, which dies at a step; 0 for never."""
    command = [
        sys.executable,
        "-m",
        "tests.fault.load_until",
        *(f"{at}:{step}" for at, step in points.items()),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    return [line.split() for line in done.stdout.splitlines()]


def _shown(store: Store) -> dict[str, Any]:
    """All that questions and other agencies can see."""
    with store.read() as conn:
        people = [
            found(conn, person(row), name)
            for row in (ANN, BOB, EVA, *ROWS[2:9])
            for name in ("involvement", "protected")
        ]
        return {
            "people": [sorted((r.person_ref, r.shield) for r in records.values()) for records in people],
            "count": index.record_count(conn),
            "shorts": {c: held.short_tags(conn, c, 1).tolist() for c in ("involvement", "protected")},
        }


def _resume(folder: Path) -> tuple[int, dict[str, Any]]:
    """Load again; gives how many records were tagged before, -1 if all was in force, and what is seen."""
    store = open_store(f"sqlite:///{folder / 'store.sqlite'}")
    try:
        report = load_file(folder / "new.csv", mapping(), job(store))
        assert not (folder / JOURNAL).exists()
        return -1 if report.unchanged == report.loaded else report.resumed, _shown(store)
    finally:
        store.close()


def test_a_load_killed_at_twenty_points_goes_on_where_it_was(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, whole := tmp_path / "whole")
    ((_, steps),) = _run({whole: 0})
    _, expected = _resume(whole)
    points = {tmp_path / str(n): n for n in Random(SEED).sample(range(1, int(steps) + 1), POINTS)}
    for folder in points:
        shutil.copytree(base, folder)
    kept = []
    for folder, (said, durable) in zip(points, _run(points), strict=True):
        assert said == "KEPT", f"not killed at step {folder.name} of {steps}"

        resumed, shown = _resume(folder)

        assert resumed in (int(durable), -1), f"killed at step {folder.name} of {steps}"
        assert shown == expected
        kept.append(resumed)
    assert {0, -1} <= set(kept)
    assert max(kept) >= len(ROWS) - 1  # all but the row that was held already


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    yield opened
    opened.close()


def _interrupt(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop a load of ROWS when everything is tagged and nothing stored."""

    def at_store(phase: str, _done: int, _total: int) -> None:
        if phase == "store":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_file(write_csv(folder_of(store) / "new.csv", ROWS), mapping(), job(store), at_store)


def test_tags_are_made_again_for_whatever_has_changed_since(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupt(store, monkeypatch)
    other = {**KEYS, ("involvement", 1): generate_key(Random(4).randbytes)}

    changed = [ANN | {"shield": "place"}, ROWS[1], ROWS[2] | {"given": "Zacharias"}, *ROWS[3:40]]
    report = load_rows(store, changed)

    assert report.resumed == len(changed) - 2 + 1  # Ann under a shield was tagged with her sibling's row
    assert load_rows(store, changed, keys=other).resumed == 0


@pytest.mark.parametrize("reason", ["keys", "rules", "fresh", "damage"])
def test_tags_that_cannot_be_trusted_are_not_used(
    store: Store, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    _interrupt(store, monkeypatch)
    changes: dict[str, Any] = {}
    if reason == "keys":
        changes["keys"] = {**KEYS, ("involvement", 1): generate_key(Random(4).randbytes)}
    if reason == "rules":
        monkeypatch.setattr("node.caseload.renewal.version", lambda: "another")
    if reason == "fresh":
        changes["is_fresh"] = True
    if reason == "damage":
        for path in (folder_of(store) / JOURNAL).iterdir():
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)

    assert load_rows(store, ROWS, **changes).resumed == 0


def test_a_killed_tagging_for_a_new_epoch_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    load_rows(store, ROWS)
    later = {**KEYS, ("involvement", 2): generate_key(Random(4).randbytes)}
    calls: list[frozenset[int]] = []

    def counted(sets: Sequence[TagSet], records: Sequence[Untagged]) -> Derived:
        calls.extend(record.set_ids for record in records)
        return derive(sets, records)

    def stopped(phase: str, _done: int, _total: int) -> None:
        if phase == "store":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        retag(job(store, keys=later), stopped)
    monkeypatch.setattr(tagging, "derive", counted)

    report = retag(job(store, keys=later))

    assert report.resumed == len(ROWS)
    assert not any(calls)
    with store.read() as conn:
        assert (
            len(held.short_tags(conn, "involvement", 2)) == len(held.short_tags(conn, "involvement", 1)) > 0
        )


def test_what_a_killed_load_left_shows_nobody_and_goes_with_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _interrupt(store, monkeypatch)
    folder = folder_of(store) / JOURNAL

    left = b"".join(path.read_bytes() for path in folder.iterdir()).lower()
    assert left
    assert not any(word in left for word in (b"leeworth", b"ab1 2cd", b"ab12cd", b"2015"))
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    with pytest.raises(LoadRefused):
        load_rows(store, [ANN | {"status": "?"}])
    assert folder.exists()
    load_rows(store, [BOB], source="visits")
    assert not folder.exists()
