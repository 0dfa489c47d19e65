"""Every invariant of the fault campaign tells a federation that breaks it from one that does not."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, update

from elsewhere.agreement.terms import Limits
from elsewhere.asking import CustodianAnswer, State
from elsewhere.catalogue.statement import CatalogueStatement
from elsewhere.receipt import Receipt, sign_receipt
from elsewhere.signing import sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from node.config import load_config
from node.keys.ring import read_signing
from node.ledger.book import append, make_entry
from node.store.engine import open_store
from node.store.exchange import log, published_piece, question
from tests.campaign.asking import Outcome
from tests.campaign.invariants import MINUTE_MS, Watch
from tests.campaign.stage import AGENCIES, DEADLINE_MS, GATEWAYS, NODES, Running, Stage
from tests.federation import EVA, KAI, ZOE, Federation
from tests.postgres_server import Server

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LIMITS = Limits()
Break = Callable[[Connection], object]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and stores of a federation that never runs; the police have answered one question."""
    folder = tmp_path_factory.mktemp("federation")
    made = Federation(folder)
    made.found()
    # The searcher last: the roster that it was given names everybody.
    for agency, rows in {"police": [ZOE, KAI], "hospital": [ZOE], "social": []}.items():
        made.join(agency, rows, store={"url": ""})
    return folder


@pytest.fixture
def stage(base: Path, tmp_path: Path) -> Stage:
    folder = tmp_path / "federation"
    shutil.copytree(base, folder)
    return Stage(folder, Server())


@contextmanager
def _at(stage: Stage, agency: str) -> Iterator[Connection]:
    store = open_store(load_config(stage.folder / agency).store_url)
    try:
        with store.write() as connection:
            yield connection
    finally:
        store.close()


def _question(number: int, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"searcher": "social", "ruling": "{}"}
    row |= {"digest": hashlib.sha256(b"q%d" % number).digest()}
    row |= {"lookup_id": number.to_bytes(16), "nonce": number.to_bytes(16), "pseudonym": bytes(32)}
    row |= {"core": number.to_bytes(32), "received_ms": number * 3_600_000, "counted": True}
    return row | changes


@pytest.fixture
def outcome(stage: Stage) -> Outcome:
    """What came of a question about Zoe, which the police answered, counted and logged."""
    entry = make_entry("answered", {"n": 1}, NOW, "0000-001")
    row = _question(1)
    with _at(stage, "police") as connection:
        append(connection, entry)
        connection.execute(insert(question), row)
    receipt = Receipt(
        custodian="police", searcher="social", commitment="0" * 64, request_digest=row["digest"].hex(),
        decision="PERMIT", clause="", tier="R1", released="0" * 64, leaf=entry.digest.hex(),
        call_reference="0000-001", time_utc=NOW, elements="0" * 64,
    )  # fmt: skip
    envelope = sign_receipt(read_signing(stage.folder / "police"), receipt)
    answer = CustodianAnswer("police", "Police", State.KNOWN_CURRENT, receipt=envelope)
    return Outcome("zoe", "worker", 0.0, 1.0, (answer,), "")


@pytest.fixture
def watch(stage: Stage) -> Watch:
    return Watch(stage, LIMITS)


def _found(watch: Watch, *outcomes: Outcome) -> list[str]:
    return watch.after(outcomes, searcher_was_halted=False, machine_late_s=0.0)


def test_a_federation_that_breaks_nothing_is_told_nothing(watch: Watch, outcome: Outcome) -> None:
    assert _found(watch, outcome) == []
    assert _found(watch) == []


def test_a_wrong_answer_is_seen(watch: Watch, outcome: Outcome) -> None:
    nothing = dataclasses.replace(outcome.answers[0], state=State.NOTHING_RETURNED)

    assert _found(watch, dataclasses.replace(outcome, answers=(nothing,))) == [
        "police said NOTHING_RETURNED about zoe"
    ]
    assert _found(watch, dataclasses.replace(outcome, child="eva")) == ["police said KNOWN_CURRENT about eva"]


def test_an_outcome_after_the_deadline_is_seen(watch: Watch, outcome: Outcome) -> None:
    late = dataclasses.replace(outcome, ended_s=DEADLINE_MS / 1000 + 2.1)

    assert _found(watch, late) == ["an outcome after 5.1 s"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.execute(update(log).values(digest=bytes(32))), "an answer that is not in its log"),
        (lambda c: c.execute(delete(question)), "an answer with 0 counted questions"),
        (lambda c: c.execute(update(question).values(counted=False)), "an answer with 0 counted questions"),
        (
            lambda c: c.execute(insert(question), _question(2, core=_question(1)["core"])),
            "an answer with 2 counted questions",
        ),
    ],
)
def test_an_answer_without_its_log_entry_or_its_one_counted_question_is_seen(
    stage: Stage, watch: Watch, outcome: Outcome, change: Break, words: str
) -> None:
    with _at(stage, "police") as connection:
        change(connection)

    assert f"police released {words}" in _found(watch, outcome)


def test_a_question_asked_again_and_not_counted_again_is_no_fault(
    stage: Stage, watch: Watch, outcome: Outcome
) -> None:
    with _at(stage, "police") as connection:
        connection.execute(insert(question), _question(2, core=_question(1)["core"], counted=False))

    assert _found(watch, outcome) == []


def test_a_log_that_lost_entries_or_has_a_gap_is_seen(stage: Stage, watch: Watch) -> None:
    with _at(stage, "social") as connection:
        for number in range(3):
            append(connection, make_entry("asked", {"n": number}, NOW))
    assert _found(watch) == []

    with _at(stage, "social") as connection:
        connection.execute(delete(log).where(log.c.seq == 2))

    assert _found(watch) == ["the log of social lost entries", "the log of social has a gap"]


@pytest.mark.parametrize(
    ("count", "apart_ms", "changes", "words"),
    [
        (2, 86_400_000, {"core": bytes(32)}, "counted 1 questions twice"),
        (LIMITS.burst + 1, MINUTE_MS // (LIMITS.burst + 2), {}, "more than the burst"),
        (LIMITS.per_person_per_day + LIMITS.red_reserve + 1, 60_000, {}, "more than a day's questions"),
    ],
)
def test_a_limit_that_was_passed_by_one_is_seen(
    stage: Stage, watch: Watch, count: int, apart_ms: int, changes: dict[str, Any], words: str
) -> None:
    rows = [_question(n, received_ms=n * apart_ms, **changes) for n in range(1, count + 1)]
    with _at(stage, "hospital") as connection:
        connection.execute(insert(question), rows[:-1])
    assert _found(watch) == []

    with _at(stage, "hospital") as connection:
        connection.execute(insert(question), rows[-1])

    (said,) = _found(watch)
    assert said.startswith("hospital")
    assert words in said


def test_one_version_of_a_catalogue_with_two_roots_is_seen(stage: Stage, watch: Watch) -> None:
    def publish(root: bytes) -> None:
        told = CatalogueStatement("police", "involvement", 1, 1, 1, 64, 64, root, bytes(32), NOW)
        key = read_signing(stage.folder / "police")
        envelope = sign_document([key], CATALOGUE_STATEMENT_TYPE, told.to_json())
        row = {"collection": "involvement", "epoch": 1, "version": 1, "ciphertext": b""}
        with _at(stage, "police") as connection:
            connection.execute(delete(published_piece))
            connection.execute(insert(published_piece), row | {"statement": envelope})

    publish(bytes(32))
    assert _found(watch) == []

    publish(b"\1" * 32)

    assert _found(watch) == ["version 1 of a catalogue of police has two roots"]


@pytest.fixture
def running(stage: Stage) -> Iterator[Callable[[str, str], None]]:
    """Has a process stand for one of the stage's, with a word in its memory."""
    started = []

    def start(name: str, word: str) -> None:
        program = (
            "import sys; word = ''.join(map(chr, eval(sys.stdin.readline()))); print(1); sys.stdin.read()"
        )
        process = subprocess.Popen(
            [sys.executable, "-uc", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{[*map(ord, word)]}\n".encode())
        process.stdin.flush()
        process.stdout.readline()
        stage.running[name] = Running(process, stage.folder / "logs" / f"{name}.log")

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_name_in_a_file_a_log_or_a_memory_of_a_stranger_is_seen(
    stage: Stage, watch: Watch, running: Callable[[str, str], None]
) -> None:
    silent = secrets.token_hex(12)
    for name in (*GATEWAYS, *NODES):
        running(name, silent)
    # What a custodian knows it may hold: the police know Kai.
    running("police", KAI["family"])
    assert watch.leaked() == []

    running("hospital/b", KAI["family"])
    (stage.folder / "gw" / "note.txt").write_bytes(EVA["postcode"].encode("utf-16-le"))
    (stage.folder / "logs").mkdir()
    (stage.folder / "logs" / "0001-police.log").write_text(f"asked about {EVA['family']}")

    found = watch.leaked()
    assert {
        "something of kai is in the memory of hospital/b",
        "something of eva is in gw: file note.txt",
        "something of eva is in 0001-police.log",
    } == set(found)
    assert set(AGENCIES) < {name.partition("/")[0] for name in NODES} | {""}
