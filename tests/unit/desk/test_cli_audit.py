"""`elsewhere audit`: what is held under a call reference, and receipts that prove something or nothing."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elsewhere.asking import CustodianAnswer, State
from elsewhere.cli.main import commands
from elsewhere.errors import NotAdmitted, SignatureInvalid
from elsewhere.lookup import Contact
from elsewhere.receipt import Receipt, attach_proof, sign_receipt
from elsewhere.roster import Member
from elsewhere.signing import SigningKey
from elsewhere.transparency.proof import LogProof
from elsewhere.wire.tls import make_authority
from node.asking.history import History
from node.keys.vault import Vault
from node.ledger.book import append, make_entry
from node.ledger.checkpoints import Signer, note_over
from node.store.engine import open_store
from tests.partnership import first_roster, write_trust

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
TRUST, OTHER = (SigningKey.from_seed(bytes([n]) * 32) for n in (2, 3))
RECEIPT = Receipt(
    custodian="trust",
    searcher="police",
    commitment="1" * 64,
    request_digest="2" * 64,
    decision="PERMIT",
    clause="rule 4",
    tier="R2",
    released="3" * 64,
    elements="5" * 64,
    leaf="4" * 64,
    call_reference="A1B2C3D4",
    time_utc=NOW,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an admitted node that has answered once and been answered once."""
    directory = tmp_path_factory.mktemp("police")
    (directory / "node.toml").write_text('agency = "police"\nname = "Northshire Police"\n')
    ca = make_authority("Northshire", now=NOW).cert_pem
    (directory / "trust").mkdir()
    member = Member("trust", "NHS Trust", "NHS_TRUST", "NHS Trust", "suspended", TRUST.public)
    write_trust(directory / "trust", first_roster(member, issued=NOW, until=NOW + timedelta(days=90)), ca)
    store = open_store(f"sqlite:///{directory / 'store.sqlite'}")
    with store.write() as connection:
        append(connection, make_entry("answered", {"searcher": "school", "empty": ""}, NOW, "K1K1K1K1"))
        told = CustodianAnswer(
            custodian="trust",
            custodian_name="Trust",
            state=State.KNOWN_PAST,
            contact=Contact("\x1b[2Jward"),
            call_reference="A1B2C3D4",
        )
        History(Vault(bytes(32)), secrets.token_bytes).keep(connection, "0" * 32, [told], now=NOW)
    store.close()
    return directory


def _audit(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["audit", *arguments])


def test_what_was_answered_is_found_by_its_reference_however_it_is_typed(folder: Path) -> None:
    result = _audit("show", "k1k1 k1k1", "--dir", str(folder))

    assert result.exit_code == 0
    assert result.output.splitlines()[0] == "log entry 1"
    assert "school" in result.output
    assert "2026-09-01 12:00 UTC" in result.output
    assert "empty" not in result.output


def test_what_was_told_is_found_too_and_cannot_steer_the_terminal(folder: Path) -> None:
    result = _audit("show", "A1B2C3D4", "--dir", str(folder))

    assert result.output.startswith(f"asked, lookup {'0' * 32}")
    assert "KNOWN_PAST" in result.output
    assert "\x1b" not in result.output


def test_show_as_json_is_one_object(folder: Path) -> None:
    found = json.loads(_audit("show", "A1B2C3D4", "--dir", str(folder), "--json").output)

    assert found["call_reference"] == "A1B2C3D4"
    assert found["entries"][0]["custodian"] == "trust"


def test_a_reference_that_nobody_gave_ends_with_1(folder: Path) -> None:
    result = _audit("show", "ZZZZZZZZ", "--dir", str(folder))

    assert result.exit_code == 1
    assert "nothing is held" in result.output


def test_something_that_is_no_reference_is_typed_wrongly(folder: Path) -> None:
    assert _audit("show", "Ann Lee", "--dir", str(folder)).exit_code == 2


def test_a_genuine_receipt_is_shown_with_who_signed_it(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    # As a case file would hold it: spaced by another program.
    signer = Signer("northshire", "trust", TRUST)
    proof = LogProof(0, (), note_over(1, bytes.fromhex(RECEIPT.leaf), signer))
    envelope = attach_proof(sign_receipt(TRUST, RECEIPT), proof)
    file.write_text(json.dumps(json.loads(envelope), indent=2))

    result = _audit("verify", str(file), "--dir", str(folder))
    document = json.loads(_audit("verify", str(file), "--dir", str(folder), "--json").output)

    assert result.exit_code == 0
    assert result.output.startswith("genuine: signed by NHS Trust (trust, now suspended)")
    assert "A1B2C3D4" in result.output
    assert document["receipt"] == RECEIPT.to_json()
    assert document["signer"] == {"name": "NHS Trust", "state": "suspended", "roster_version": 1}


@pytest.mark.parametrize("content", [sign_receipt(OTHER, RECEIPT), b"{}", b"", b"x" * 100_000])
def test_anything_else_is_not_genuine(folder: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "receipt.json"
    file.write_bytes(content)

    result = _audit("verify", str(file), "--dir", str(folder))

    assert isinstance(result.exception, SignatureInvalid)
    assert "genuine" not in result.output


def test_without_an_admission_there_is_nobody_to_verify_by(tmp_path: Path) -> None:
    file = tmp_path / "receipt.json"
    file.write_bytes(sign_receipt(TRUST, RECEIPT))

    result = _audit("verify", str(file), "--dir", str(tmp_path))

    assert isinstance(result.exception, NotAdmitted)
