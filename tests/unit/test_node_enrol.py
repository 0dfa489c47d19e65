"""A node's way in: its keys stay with it, and it believes only an admission made for exactly them."""

from __future__ import annotations

import json
import secrets
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elsewhere.enrolment import Admission, open_request
from elsewhere.errors import (
    CertificateInvalid,
    ConfigInvalid,
    DocumentInvalid,
    ElsewhereError,
    EnrolmentRefused,
)
from elsewhere.signing import SigningKey
from elsewhere.succession import read_roster, sign_roster
from gateway.enrolment import Founding
from node.config import load_config
from node.keys.ring import KeyRing
from node.membership import enrol
from node.membership.trust import Trust
from tests import partnership
from tests.partnership import KEYS, signed

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
POLICE = enrol.Applicant("police", "Northshire “Police”", "POLICE", "0000 000 001", "0000 000 002")
SOCIAL = enrol.Applicant("social", "Social Care", "SOCIAL_CARE", "0000 000 003", "0000 000 004")


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    founding = Founding(federation="northshire", listen="127.0.0.1:7443")
    partnership.init(tmp_path / "gw", founding, now=NOW, random=secrets.token_bytes)
    return tmp_path / "gw"


def make(folder: Path, applicant: enrol.Applicant) -> bytes:
    return enrol.init(folder, applicant, random=secrets.token_bytes)[0]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_two_nodes_join_and_hold_what_they_verified(gateway: Path, tmp_path: Path) -> None:
    for applicant in (POLICE, SOCIAL):
        folder = tmp_path / applicant.agency_id
        admission = partnership.admit(gateway, make(folder, applicant), now=NOW)
        enrol.accept(folder, admission.to_bytes(), now=NOW)

    config = load_config(tmp_path / "social")
    assert (config.agency, config.name, config.gateways) == ("social", "Social Care", ["127.0.0.1:7443"])
    trust = Trust.load(tmp_path / "social", "social")
    assert [member.agency_id for member in trust.roster.active_members()] == ["police", "social"]
    assert trust.agreement is not None
    assert trust.roster.active("social").signing_key == KeyRing.load(tmp_path / "social").signing.public
    assert load_config(tmp_path / "police").name == POLICE.name


def test_a_new_node_is_private_and_its_request_holds_no_secret(tmp_path: Path) -> None:
    request, fingerprint = enrol.init(tmp_path / "n", POLICE, random=secrets.token_bytes)

    assert (tmp_path / "n").stat().st_mode & 0o777 == 0o700
    assert open_request(request).fingerprint == fingerprint
    for path in (tmp_path / "n" / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() not in request
        assert path.read_bytes().hex().encode() not in request


def test_a_folder_holds_one_node(tmp_path: Path) -> None:
    make(tmp_path / "n", POLICE)
    before = files_of(tmp_path / "n")

    with pytest.raises(ConfigInvalid):
        make(tmp_path / "n", SOCIAL)
    assert files_of(tmp_path / "n") == before


@pytest.mark.parametrize("change", [{"agency_id": "Police"}, {"name": ""}, {"contact_in_hours": "\n"}])
def test_an_impossible_applicant_leaves_nothing_behind(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(DocumentInvalid):
        make(tmp_path / "n", replace(POLICE, **change))
    assert not (tmp_path / "n").exists()


def spoil(admission: Admission, name: str) -> Admission:
    """An admission that is wrong in one way."""
    roster = read_roster(admission.roster)
    thief = SigningKey.generate(secrets.token_bytes)
    stolen = replace(roster, members=(replace(roster.members[0], signing_key=thief.public),))
    return {
        "another agency": replace(admission, agency_id="social"),
        "another federation": replace(admission, anchor=replace(admission.anchor, genesis=bytes(32))),
        "no first roster": replace(admission, chain=admission.chain[1:] or (admission.roster,)),
        "a roster that one steward signed": replace(admission, roster=sign_roster([KEYS[0]], roster)),
        "a roster with another key under our name": replace(admission, roster=signed(stolen)),
        "a roster without us": replace(admission, roster=signed(replace(roster, members=()))),
        "a roster that ran out": replace(
            admission,
            roster=signed(
                replace(
                    roster,
                    issued_utc=NOW - timedelta(days=9),
                    valid_until_utc=NOW - timedelta(days=1),
                ),
            ),
        ),
        "an agreement nobody signed": replace(admission, agreement=b"{}"),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "another agency",
        "another federation",
        "no first roster",
        "a roster that one steward signed",
        "a roster with another key under our name",
        "a roster without us",
        "a roster that ran out",
        "an agreement nobody signed",
    ],
)
def test_an_admission_that_does_not_hold_changes_nothing(gateway: Path, tmp_path: Path, name: str) -> None:
    admission = partnership.admit(gateway, make(tmp_path / "police", POLICE), now=NOW)
    before = files_of(tmp_path / "police")

    with pytest.raises(EnrolmentRefused):
        enrol.accept(tmp_path / "police", spoil(admission, name).to_bytes(), now=NOW)
    assert files_of(tmp_path / "police") == before


def test_a_certificate_for_another_nodes_key_is_refused(gateway: Path, tmp_path: Path) -> None:
    admission = partnership.admit(gateway, make(tmp_path / "police", POLICE), now=NOW)
    make(tmp_path / "twin", POLICE)

    with pytest.raises(CertificateInvalid):
        enrol.accept(tmp_path / "twin", admission.to_bytes(), now=NOW)
    with pytest.raises(CertificateInvalid):
        enrol.accept(tmp_path / "police", admission.to_bytes(), now=NOW + timedelta(days=31))


def test_a_second_admission_renews_and_never_goes_back(gateway: Path, tmp_path: Path) -> None:
    folder = tmp_path / "police"
    request = make(folder, POLICE)
    first = partnership.admit(gateway, request, now=NOW)
    second = partnership.admit(gateway, request, now=NOW + timedelta(days=20))
    settings = folder / "node.toml"
    settings.write_text(settings.read_text() + "[lookup]\nin_flight = 2  # ours\n")
    enrol.accept(folder, second.to_bytes(), now=NOW + timedelta(days=20))
    enrol.accept(folder, first.to_bytes(), now=NOW + timedelta(days=20))

    assert Trust.load(folder, "police").roster.version == 3
    assert "in_flight = 2  # ours" in settings.read_text()
    assert load_config(folder).gateways == ["127.0.0.1:7443"]


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ('gateways = []\nname = "P"\n', 'name = "P"'),
        ('gateways = [\n    "one:1", # the first\n    "two:2",\n]\n[log]\nshow_s = 5\n', "[log]\nshow_s = 5"),
        ('gateways=["one:1"] # ours\n', "# ours"),
        ('name = "P" # gateways = []\n[log]\n', 'name = "P" # gateways = []'),
    ],
    ids=["none", "several lines", "close together", "not there"],
)
def test_gateways_are_replaced_however_people_wrote_them(written: str, left: str) -> None:
    made = enrol._with_gateways(written, ("three:3",))
    assert left in made
    assert tomllib.loads(made) == {**tomllib.loads(written), "gateways": ["three:3"]}


@pytest.mark.parametrize("written", ['gateways = [ # ]\n  "one:1"]\n', '"gateways" = []\n', "gateways = [\n"])
def test_settings_that_a_program_would_break_are_left_to_people(written: str) -> None:
    with pytest.raises(ConfigInvalid, match="yourself"):
        enrol._with_gateways(written, ("three:3",))


def test_a_node_belongs_to_one_federation(gateway: Path, tmp_path: Path) -> None:
    folder = tmp_path / "police"
    request = make(folder, POLICE)
    enrol.accept(folder, partnership.admit(gateway, request, now=NOW).to_bytes(), now=NOW)
    other = tmp_path / "other"
    partnership.init(
        other,
        Founding(federation="southshire", listen="127.0.0.1:7444"),
        now=NOW,
        random=secrets.token_bytes,
    )

    with pytest.raises(EnrolmentRefused, match="another federation"):
        enrol.accept(folder, partnership.admit(other, request, now=NOW).to_bytes(), now=NOW)


@pytest.mark.parametrize("file", [b"", b"{}", json.dumps({"federation": 1}).encode()])
def test_a_file_that_is_no_admission_is_refused(tmp_path: Path, file: bytes) -> None:
    make(tmp_path / "n", POLICE)

    with pytest.raises(ElsewhereError) as refusal:
        enrol.accept(tmp_path / "n", file, now=NOW)
    assert refusal.value.code == "enrolment.refused"
