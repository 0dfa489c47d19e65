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

from elsewhere.agreement.document import agreement_from_toml, sign_agreement
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import Agreement, Party, Validity
from elsewhere.errors import SignatureInvalid
from elsewhere.roster import Member
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement, SealingKeyEntry, sign_statement
from elsewhere.succession import Succession, chain_to_bytes, sign_roster
from node.membership import trust as module
from node.membership.trust import Trust
from tests.partnership import KEYS, first_roster, keys_of, signed, steward, write_trust

NOW = datetime(2026, 9, 1, tzinfo=UTC)
POLICE = SigningKey.from_seed(b"\x02" * 32)
MEMBER = Member("police", "Police", "POLICE", "Police", "active", POLICE.public)
ROSTER = first_roster(MEMBER, issued=NOW, until=NOW + timedelta(days=90))
NEXT = signed(replace(ROSTER, version=2, previous_digest=ROSTER.digest))


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
    write_trust(trust, ROSTER)
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

    for name in ("open_statement", "open_agreement"):
        monkeypatch.setattr(module, name, verify)
    monkeypatch.setattr(Succession, "follow", verify)

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


def _stewards_change(times: int) -> tuple[list[bytes], bytes]:
    """Rosters in each of which one steward makes room for another, and a later one of the last stewards."""
    roster, links = ROSTER, []
    for number in range(times):
        stewards = (*roster.stewards[1:], steward(f"new-{number}"))
        version = roster.version + 1
        following = replace(
            roster,
            version=version,
            previous_digest=roster.digest,
            stewards=stewards,
            stewards_since=version,
        )
        links.append(sign_roster(keys_of(roster, following), following))
        roster = following
    last = replace(roster, version=roster.version + 4, previous_digest=bytes(32))
    return links, signed(last)


def test_who_was_away_follows_the_stewards_when_it_is_shown_how_they_came_to_be(folder: Path) -> None:
    links, last = _stewards_change(4)
    trust = Trust.load(folder, "social")

    assert trust.take_directory(last, b"", []) == ["roster.gap"]
    assert trust.take_directory(last, b"", [], links[2:]) == ["signature.invalid"]
    assert trust.take_directory(last, b"", [], links) == []
    trust.keep()

    again = Trust.load(folder, "social")
    assert again.roster == trust.roster
    assert again.chain() == trust.chain() == [signed(ROSTER), *links]


def test_processes_hand_each_other_the_way_to_the_newest_stewards(folder: Path) -> None:
    links, last = _stewards_change(4)
    one, other, third = (Trust.load(folder, "social") for _ in range(3))
    third.take_directory(links[0], b"", [])
    one.take_directory(last, b"", [], links)
    one.keep()

    third.keep()  # something older: it is not written over what is newer
    other.look()

    assert other.roster == third.roster == one.roster == Trust.load(folder, "social").roster


def test_broken_off_between_chain_and_roster_a_node_starts_with_what_it_had(folder: Path) -> None:
    links, last = _stewards_change(1)
    trust = Trust.load(folder, "social")
    trust.take_directory(last, b"", [], links)
    kept = (folder / "trust" / "roster.json").read_bytes()
    trust.keep()
    (folder / "trust" / "roster.json").write_bytes(kept)

    again = Trust.load(folder, "social")

    assert again.roster.version == 1
    assert again.take_directory(last, b"", [], links) == []


@pytest.mark.parametrize("name", ["roster.json", "chain.json"])
def test_a_roster_or_chain_that_was_changed_in_the_folder_keeps_a_node_from_starting(
    folder: Path, name: str
) -> None:
    false = sign_roster([POLICE], replace(ROSTER, members=()))
    (folder / "trust" / name).write_bytes(false if name == "roster.json" else chain_to_bytes([false]))

    with pytest.raises(SignatureInvalid):
        Trust.load(folder, "social")


def _agreement(title: str = "First") -> Agreement:
    validity = Validity(NOW, NOW + timedelta(days=90), NOW + timedelta(days=60))
    parties = [Party(name, name, "POLICE", "1", "2") for name in ("police", "social")]
    text = starting_agreement(id="northshire", title=title, validity=validity, parties=parties)
    return agreement_from_toml(text)


def test_signatures_of_one_agreement_add_up_and_none_is_lost(folder: Path) -> None:
    trust = Trust.load(folder, "social")
    one, other = (sign_agreement(keys, _agreement()) for keys in (KEYS[:3], KEYS[1:]))

    assert trust.take_directory(b"", one, []) == []
    assert trust.agreement is not None
    assert trust.agreement.signed_by == {"hospital", "police", "schools"}
    assert trust.take_directory(b"", other, []) == []
    assert trust.agreement.signed_by == {"hospital", "police", "schools", "social"}
    assert not trust.take_agreement(one)
    assert trust.newer_than(b"", other)[1] == sign_agreement(KEYS, _agreement())
    trust.keep()
    again = Trust.load(folder, "social").agreement
    assert again is not None
    assert again == trust.agreement


def test_an_agreement_without_a_quorum_takes_nobodys_place(folder: Path) -> None:
    trust = Trust.load(folder, "social")
    trust.take_agreement(sign_agreement(KEYS, _agreement()))
    rival = replace(_agreement("Everything"), version=2)

    assert trust.take_directory(b"", sign_agreement(KEYS[:2], rival), []) == ["signature.invalid"]
    assert trust.agreement is not None
    assert trust.agreement.title == "First"


def test_a_steward_who_was_replaced_binds_nobody_until_the_successor_signs(folder: Path) -> None:
    trust = Trust.load(folder, "social")
    trust.take_agreement(sign_agreement(KEYS, _agreement()))
    successor = SigningKey.from_seed(b"\x09" * 32)
    stewards = tuple(
        replace(s, key=successor.public) if s.agency_id == "police" else s for s in ROSTER.stewards
    )
    following = replace(ROSTER, version=2, previous_digest=ROSTER.digest, stewards=stewards, stewards_since=2)

    assert trust.take_directory(sign_roster(KEYS, following), b"", []) == []
    assert trust.agreement is not None
    assert trust.agreement.signed_by == {"hospital", "schools", "social"}
    others = [key for key in KEYS if key.public != steward("police").key]
    assert trust.take_directory(b"", sign_agreement([successor, *others], _agreement()), []) == []
    assert "police" in trust.agreement.signed_by


def test_a_kept_agreement_that_no_quorum_signed_any_more_is_missing_and_said_so(folder: Path) -> None:
    (folder / "trust" / "agreement.json").write_bytes(sign_agreement(KEYS[:2], _agreement()))

    with capture_logs() as logs:
        trust = Trust.load(folder, "social")

    assert trust.agreement is None
    assert [(entry["event"], entry["code"]) for entry in logs] == [("trust.refused", "signature.invalid")]


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
