"""The commands that operator, stewards and agencies type to bring a partnership into being, as typed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from elsewhere.cli.gateway import gateway
from elsewhere.cli.node_enrol import accept, init
from elsewhere.cli.steward import FingerprintDiffers, steward
from elsewhere.errors import EnrolmentRefused
from elsewhere.stewards import SignedAlready, StewardKeyLocked
from gateway.errors import ProposalStale, SignedTwice, TooFewSigned
from tests.gateway_support import found

WHO = ["--name", "Northshire Police", "--in-hours", "0000 000 001", "--out-of-hours", "0000 000 002"]
IDS = ("police", "social", "council")  # the council has a steward and no node
PASSPHRASE = "correct horse battery"
_DIGITS = re.compile(r"fingerprint (\d{5}-\d{5}-\d{5}-\d{5})")


def run(command: object, *arguments: object, typed: str = "") -> str:
    """Run one command and give what it printed."""
    words = [str(argument) for argument in arguments]
    result = CliRunner().invoke(command, words, input=typed, catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result.output


def fingerprint_in(said: str) -> str:
    """What somebody reads out over the telephone."""
    match = _DIGITS.search(said)
    assert match is not None, said
    return match[1]


class Partnership:
    """A folder in which everybody's files lie side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.heard = folder, dict[str, str]()
        (folder / "passphrase").write_text(PASSPHRASE)
        (folder / "passphrase").chmod(0o600)
        os.chdir(folder)

    def keygen(self, id: str) -> None:
        """A steward's key and card."""
        files = ["--out", f"{id}.key", "--card", f"{id}.card", "--passphrase-file", "passphrase"]
        said = run(steward, "keygen", "--agency", id, "--name", f"Steward of {id}", *files)
        self.heard[id] = fingerprint_in(said)
        assert fingerprint_in(run(steward, "show", "--key", f"{id}.key")) == self.heard[id]

    def sign(self, proposal: str, *ids: str) -> list[str]:
        """The signatures of these stewards, who have heard every newcomer."""
        for id in ids:
            heard = [word for of, digits in self.heard.items() for word in ("--heard", f"{of}={digits}")]
            words = ["--key", f"{id}.key", "--passphrase-file", "passphrase", "--out", f"{id}.sig", "--yes"]
            run(steward, "sign", proposal, *words, *heard)
        return [f"{id}.sig" for id in ids]

    def enact(self, proposal: str, signatures: Sequence[str]) -> str:
        """Put it in force."""
        return run(gateway, "enact", proposal, *signatures, "--dir", "gw")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Partnership:
    """A partnership whose first roster two of three stewards have signed."""
    monkeypatch.chdir(tmp_path)
    made = Partnership(tmp_path)
    for id in IDS:
        made.keygen(id)
    cards = [word for id in IDS for word in ("--steward", f"{id}.card")]
    where = ["--dir", "gw", "--federation", "North Shire", "--listen", "127.0.0.1:0"]
    said = run(gateway, "init", *where, *cards, "--out", "first")
    assert "federation north-shire" in said
    made.heard["federation"] = fingerprint_in(said)
    assert "roster 1, no agreement yet" in made.enact("first", made.sign("first", "social", "council"))
    return made


def test_a_partnership_is_founded_by_its_stewards_and_two_agencies_join(made: Partnership) -> None:
    sectors = {"police": "POLICE", "social": "SOCIAL_CARE"}
    for agency, sector in sectors.items():
        words = ["--dir", f"{agency}-node", "--agency", agency, "--sector", sector, *WHO]
        said = run(init, *words, "--out", f"{agency}.request")
        # From now on only the node's; its steward is known.
        made.heard[agency] = fingerprint_in(said)
        with pytest.raises(EnrolmentRefused, match="propose"):
            run(gateway, "admit", f"{agency}.request", "--dir", "gw", "--out", "admission")
    both = [word for agency in sectors for word in ("--admit", f"{agency}.request")]
    said = run(gateway, "propose", "--dir", "gw", *both, "--out", "second")
    assert "member police (Northshire Police, POLICE) comes in, active" in said
    assert made.heard["police"] not in said, "it is to come from the police, not from the operator"
    with pytest.raises(TooFewSigned, match="missing: social, council"):
        made.enact("second", made.sign("second", "police"))
    with pytest.raises(SignedTwice):
        made.enact("second", ["police.sig", "police.sig"])
    said = made.enact("second", made.sign("second", "police", "council"))
    assert "in force: roster 2, agreement 1" in said
    assert "not bound, for their stewards have not signed it: social" in said
    assert "not bound" not in made.enact("second", made.sign("second", "social"))
    for agency in sectors:
        run(gateway, "admit", f"{agency}.request", "--dir", "gw", "--out", "admission")
        said = run(accept, "admission", "--dir", f"{agency}-node")
        # Both sides of each voice check are printed alike.
        assert fingerprint_in(said) == made.heard["federation"]

    said = run(gateway, "propose", "--dir", "gw", "--state", "police=suspended", "--out", "third")
    assert "member police: state becomes suspended (now active)" in said
    run(gateway, "propose", "--dir", "gw", "--out", "renewed")
    made.enact("third", made.sign("third", "social", "council"))
    with pytest.raises(SignedAlready):
        made.sign("renewed", "social")
    with pytest.raises(ProposalStale):
        made.enact("renewed", made.sign("renewed", "police"))
    with pytest.raises(EnrolmentRefused):
        run(gateway, "propose", "--dir", "gw", "--state", "nobody=revoked", "--out", "fourth")


def test_a_lost_steward_key_is_replaced_by_the_others(made: Partnership) -> None:
    os.remove("police.key")
    made.keygen("police")
    said = run(gateway, "propose", "--dir", "gw", "--steward", "police.card", "--out", "next")
    assert "in the place of Steward of police: ANOTHER KEY" in said
    assert "roster 2" in made.enact("next", made.sign("next", "social", "council"))

    run(gateway, "propose", "--dir", "gw", "--out", "later")
    assert "roster 3" in made.enact("later", made.sign("later", "police", "council"))


def test_a_steward_signs_only_what_was_heard_and_with_the_right_passphrase(made: Partnership) -> None:
    made.keygen("hospital")
    run(gateway, "propose", "--dir", "gw", "--steward", "hospital.card", "--out", "next")
    words = ["sign", "next", "--key", "social.key", "--out", "social.sig"]
    heard = made.heard["hospital"]

    with pytest.raises(FingerprintDiffers):
        run(steward, *words, typed=heard[:-1] + ("0" if heard[-1] != "0" else "1") + "\n")
    with pytest.raises(StewardKeyLocked):
        run(steward, *words, typed=f"{heard}\ny\nanother passphrase\n")
    Path("social.sig").unlink()
    said = run(steward, *words, typed=f"{heard.replace('-', ' ')}\ny\n{PASSPHRASE}\n")
    assert "from then on 3 of 4 stewards must sign" in said
    assert Path("social.sig").exists()


def test_keys_of_stewards_are_private_and_never_overwritten(made: Partnership) -> None:
    assert Path("police.key").stat().st_mode & 0o777 == 0o600
    words = ["keygen", "--agency", "police", "--name", "P", "--out", "police.key", "--card", "c"]
    result = CliRunner().invoke(steward, words, input=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert result.exit_code == 2
    assert "never overwritten" in result.output


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_says_when_it_is_ready_and_ends_in_good_order(tmp_path: Path, how: signal.Signals) -> None:
    found(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if line.startswith("ready"))
        assert re.fullmatch(r"ready 127\.0\.0\.1:\d+\n", line)
        process.send_signal(how)
        assert process.wait(timeout=30) == 0
        assert '"event": "gateway stopped"' in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_gateway_with_an_exposed_key_does_not_start(tmp_path: Path) -> None:
    found(tmp_path)
    (tmp_path / "keys" / "gateway.key").chmod(0o644)

    ended = subprocess.run(
        [sys.executable, "-m", "gateway", str(tmp_path)], capture_output=True, text=True, timeout=30
    )

    assert ended.returncode == 1
    assert "error [key.exposed]" in ended.stderr
