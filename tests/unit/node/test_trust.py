"""What a node believes: each document is verified once, in force at once, and kept when the disk allows."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from elsewhere.canonical import canonical_json
from elsewhere.roster import Federation, Member, Roster, sign_roster
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement, SealingKeyEntry, sign_statement
from node.membership import trust as module
from node.membership.trust import Trust

NOW = datetime(2026, 9, 1, tzinfo=UTC)
FEDERATION, POLICE = (SigningKey.from_seed(bytes([n]) * 32) for n in (1, 2))
ROSTER = Roster(
    federation="northshire",
    version=1,
    previous_digest=None,
    members=(Member("police", "Police", "POLICE", "Police", "active", POLICE.public),),
    issued_utc=NOW,
    valid_until_utc=NOW + timedelta(days=90),
)
NEXT = sign_roster(FEDERATION, replace(ROSTER, version=2, previous_digest=ROSTER.digest))


def statement(version: int) -> bytes:
    entry = SealingKeyEntry(SealingKey(bytes(range(96))).public, NOW + timedelta(days=9))
    stated = KeyStatement(
        agency="police",
        version=version,
        issued_utc=NOW,
        sealing_keys=(entry,),
        oprf_keys=(),
        protocol_versions=(1,),
        match_key_versions=("1",),
    )
    return sign_statement(POLICE, stated)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What accepting an admission leaves in a node's folder."""
    trust = tmp_path / "trust"
    trust.mkdir()
    anchor = Federation("northshire", FEDERATION.public, b"-----BEGIN CERTIFICATE-----")
    (trust / "federation.json").write_bytes(canonical_json(anchor.to_json()))
    (trust / "roster.json").write_bytes(sign_roster(FEDERATION, ROSTER))
    return tmp_path


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "replace_file", full)
        yield patch


def test_what_was_taken_and_kept_is_there_again(folder: Path) -> None:
    trust = Trust.load(folder, "social")
    assert trust.take_directory(NEXT, b"", [statement(1)]) == []
    trust.keep()

    again = Trust.load(folder, "social")

    assert (again.roster.version, again.statements["police"].version) == (2, 1)


def test_the_bytes_held_are_not_verified_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust = Trust.load(folder, "social")
    assert trust.take_directory(NEXT, b"", [statement(1)]) == []

    def verify(*given: object) -> None:
        raise AssertionError("verified again")

    for name in ("open_roster", "open_statement", "open_agreement"):
        monkeypatch.setattr(module, name, verify)

    assert trust.take_directory(NEXT, b"", [statement(1)]) == []
    with pytest.raises(AssertionError):
        trust.take_directory(NEXT, b"", [statement(2)])


def test_on_a_full_disk_a_document_is_in_force_and_is_kept_with_the_next(
    folder: Path, full_disk: pytest.MonkeyPatch
) -> None:
    trust = Trust.load(folder, "social")
    with capture_logs() as logs:
        assert trust.take_directory(NEXT, b"", [statement(1)]) == []
        trust.keep()
    assert trust.roster.version == 2
    assert trust.statements["police"].version == 1
    assert [(entry["event"], entry["code"]) for entry in logs] == [("trust.not_kept", "ENOSPC")]
    assert Trust.load(folder, "social").roster.version == 1

    full_disk.undo()
    assert trust.take_directory(NEXT, b"", [statement(2)]) == []
    trust.keep()

    again = Trust.load(folder, "social")
    assert (again.roster.version, again.statements["police"].version) == (2, 2)


def test_a_reader_of_the_statements_keeps_the_state_it_began_with(folder: Path) -> None:
    trust = Trust.load(folder, "social")
    before = trust.statements

    trust.take_directory(NEXT, b"", [statement(1)])

    assert before == {}
    assert set(trust.statements) == {"police"}


def test_what_another_process_has_kept_is_taken_and_never_written_over_by_something_older(
    folder: Path,
) -> None:
    one, other = Trust.load(folder, "social"), Trust.load(folder, "social")
    other.take_directory(NEXT, b"", [statement(3)])
    other.keep()

    one.take_directory(b"", b"", [statement(2)])
    one.keep()

    assert one.statements["police"].version == 3
    again = Trust.load(folder, "social")
    assert (again.roster.version, again.statements["police"].version) == (2, 3)


def test_processes_that_keep_at_once_leave_whole_documents(folder: Path) -> None:
    made = [Trust.load(folder, "social") for _ in range(2)]

    def keep(trust: Trust, versions: range) -> None:
        for version in versions:
            trust.take_directory(NEXT, b"", [statement(version)])
            trust.keep()

    threads = [
        threading.Thread(target=keep, args=(trust, range(1 + place, 40, 2)))
        for place, trust in enumerate(made)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Trust.load(folder, "social").statements["police"].version == 39
    assert not list((folder / "trust").rglob("*.part"))


def test_what_another_process_has_kept_is_in_force_after_a_look(folder: Path) -> None:
    one, other = (Trust.load(folder, "social") for _ in range(2))
    other.look()
    assert one.take_directory(NEXT, b"", []) == []
    other.look()
    assert other.roster.version == 1, "it is not kept yet"
    one.keep()

    other.look()

    assert other.roster.version == 2
    with capture_logs() as logs:
        other.keep()
        other.look()
    assert (logs, other._unkept) == ([], set())


def test_an_older_roster_put_in_the_folder_changes_nothing_and_is_told_once(folder: Path) -> None:
    trust = Trust.load(folder, "social")
    first = (folder / "trust" / "roster.json").read_bytes()
    trust.take_directory(NEXT, b"", [])
    trust.keep()
    trust.look()
    (folder / "trust" / "roster.json").write_bytes(first)

    with capture_logs() as logs:
        for _ in range(3):
            trust.look()

    assert trust.roster.version == 2
    assert [(entry["event"], entry["code"]) for entry in logs] == [("trust.refused", "roster.rollback")]


def test_a_look_where_there_is_nothing_new_reads_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = Trust.load(folder, "social")
    trust.look()

    def read(path: Path) -> bytes:
        raise AssertionError(f"read {path.name}")

    monkeypatch.setattr(Path, "read_bytes", read)
    trust.look()


def test_a_disk_that_fails_at_a_look_takes_nothing_from_what_is_held(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = Trust.load(folder, "social")

    def fail(path: Path) -> bytes:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(Path, "read_bytes", fail)
        trust.look()
    assert [(entry["event"], entry["code"]) for entry in logs] == [("trust.unreadable", "EIO")]
    (folder / "trust" / "roster.json").write_bytes(NEXT)
    trust.look()
    assert trust.roster.version == 2
