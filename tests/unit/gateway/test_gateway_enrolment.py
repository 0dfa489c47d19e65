"""The operator's acts: founding, admitting, signing anew. Each signs a document or changes nothing."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from elsewhere.agreement.document import open_agreement
from elsewhere.canonical import canonical_json
from elsewhere.enrolment import Admission
from elsewhere.errors import (
    CertificateInvalid,
    ConfigInvalid,
    DocumentInvalid,
    ElsewhereError,
    EnrolmentRefused,
    KeyFileExposed,
    KeyFileMissing,
)
from elsewhere.signing import SigningKey
from elsewhere.succession import check_successor, read_roster
from elsewhere.wire.tls import check_issued, check_pair, make_key, make_request
from gateway.config import load_config
from gateway.enrolment import Founding
from gateway.folder import Keys, certificate, read_anchor, serving_credentials
from gateway.inforce import read_agreement, read_succession
from tests import partnership
from tests.gateway_support import join_request

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
KEYS = {name: (SigningKey.generate(secrets.token_bytes), make_key()) for name in ("police", "social")}
FOUNDING = Founding(federation="northshire", listen="127.0.0.1:7443")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    partnership.init(tmp_path / "gw", FOUNDING, now=NOW, random=secrets.token_bytes)
    return tmp_path / "gw"


def admit(folder: Path, agency: str, sector: str = "POLICE", at: datetime = NOW) -> Admission:
    return partnership.admit(folder, join_request(agency, *KEYS[agency], sector), now=at)


def state_of(folder: Path) -> dict[str, bytes]:
    """Every file of the folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_founding_makes_keys_that_only_the_operator_can_read(folder: Path) -> None:
    keys = sorted((folder / "keys").iterdir())

    assert [key.name for key in keys] == ["ca.key", "gateway.key", "tls.key"]
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert folder.stat().st_mode & 0o777 == (folder / "keys").stat().st_mode & 0o777 == 0o700
    roster = read_roster((folder / "roster.json").read_bytes())
    assert (roster.version, roster.members) == (1, ())
    assert not (folder / "agreement.json").exists()  # an agreement has at least two parties


def test_a_folder_is_founded_once(folder: Path) -> None:
    before = state_of(folder)

    with pytest.raises(ConfigInvalid):
        partnership.init(folder, FOUNDING, now=NOW, random=secrets.token_bytes)
    assert state_of(folder) == before


@pytest.mark.parametrize(
    "founding",
    [
        Founding(federation="North Shire", listen="127.0.0.1:7443"),
        Founding(federation="northshire", listen="nowhere"),
    ],
)
def test_an_impossible_founding_leaves_no_keys(tmp_path: Path, founding: Founding) -> None:
    with pytest.raises(ConfigInvalid):
        partnership.init(tmp_path / "gw", founding, now=NOW, random=secrets.token_bytes)
    assert not (tmp_path / "gw").exists()


def test_admitting_gives_a_certificate_and_the_roster_that_follows(folder: Path) -> None:
    anchor = read_anchor(folder)
    first = read_roster((folder / "roster.json").read_bytes())

    admission = admit(folder, "police")

    roster = read_roster(admission.roster)
    check_successor(first, roster)
    assert (roster.version, roster.previous_digest) == (2, first.digest)
    assert roster.active("police").signing_key == KEYS["police"][0].public
    assert admission.anchor == anchor
    assert admission.gateways == ("127.0.0.1:7443",)
    assert admission.agreement is None
    check_pair(KEYS["police"][1], admission.certificate_pem)
    check_issued(admission.certificate_pem, anchor.tls_ca_pem, agency="police", now=NOW + timedelta(days=29))
    assert (folder / "roster.json").read_bytes() == admission.roster


def test_the_second_party_brings_the_agreement_into_being(folder: Path) -> None:
    admit(folder, "police")
    admission = admit(folder, "social", "SOCIAL_CARE")

    assert admission.agreement is not None
    agreement = open_agreement(admission.agreement, read_roster(admission.roster))
    assert agreement.version == 1
    assert [party.agency_id for party in agreement.parties] == ["police", "social"]
    assert (folder / "agreement.json").read_bytes() == admission.agreement


def test_a_member_with_the_same_keys_gets_a_new_certificate_and_no_second_party(folder: Path) -> None:
    admit(folder, "police")
    admit(folder, "social", "SOCIAL_CARE")
    text = (folder / "agreement.toml").read_text()

    again = admit(folder, "police", at=NOW + timedelta(days=20))

    roster = read_roster(again.roster)
    assert (roster.version, len(roster.members)) == (4, 2)
    assert (folder / "agreement.toml").read_text() == text
    assert again.agreement is not None
    assert open_agreement(again.agreement, roster).version == 1
    check_issued(
        again.certificate_pem, again.anchor.tls_ca_pem, agency="police", now=NOW + timedelta(days=45)
    )


def renamed(request: bytes) -> bytes:
    """The same signed request with another agency id written into it."""
    outer = json.loads(request)
    envelope = json.loads(outer["envelope"])
    payload = base64.b64decode(envelope["payload"]).replace(b"social", b"sociak")
    envelope["payload"] = base64.b64encode(payload).decode()
    return canonical_json({**outer, "envelope": canonical_json(envelope).decode()})


def refused_requests() -> dict[str, tuple[bytes, type[ElsewhereError]]]:
    """Requests that must change nothing once `police` is a member."""
    thief, tls = SigningKey.generate(secrets.token_bytes), make_key()
    good = join_request("social", *KEYS["social"], "SOCIAL_CARE")
    return {
        "an id under another key": (join_request("police", thief, tls), EnrolmentRefused),
        "a key under another id": (join_request("copper", KEYS["police"][0], tls), EnrolmentRefused),
        "an unknown sector": (join_request("social", *KEYS["social"], "SORCERY"), DocumentInvalid),
        "a broken proof": (renamed(good), EnrolmentRefused),
        "no request": (b"{}", EnrolmentRefused),
    }


@pytest.mark.parametrize("name", list(refused_requests()))
def test_a_request_that_does_not_hold_changes_nothing(folder: Path, name: str) -> None:
    admit(folder, "police")
    before = state_of(folder)
    request, error = refused_requests()[name]

    with pytest.raises(error):
        partnership.admit(folder, request, now=NOW)
    assert state_of(folder) == before


def test_a_certificate_request_for_another_agency_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.gateway_support.make_request", lambda key, agency: make_request(key, "police"))

    with pytest.raises(CertificateInvalid):
        admit(folder, "social", "SOCIAL_CARE")


def test_an_edited_agreement_is_signed_as_the_next_version(folder: Path) -> None:
    admit(folder, "police")
    admit(folder, "social", "SOCIAL_CARE")
    text = folder / "agreement.toml"
    text.write_text(text.read_text().replace("per_person_per_day = 60", "per_person_per_day = 61"))

    assert partnership.resign(folder, now=NOW) == (4, 2)
    held = read_agreement(folder, read_succession(folder).roster)
    assert held is not None
    assert held[1].limits.per_person_per_day == 61
    assert partnership.resign(folder, now=NOW) == (5, 2)  # the same text is the same version


def test_an_edit_that_does_not_hold_names_its_line_and_changes_nothing(folder: Path) -> None:
    admit(folder, "police")
    admit(folder, "social", "SOCIAL_CARE")
    text = folder / "agreement.toml"
    text.write_text(text.read_text().replace("S47_ENQUIRY", "S47_INQUIRY", 1))
    before = state_of(folder)

    with pytest.raises(DocumentInvalid) as refusal:
        partnership.resign(folder, now=NOW)
    assert refusal.value.line is not None
    assert state_of(folder) == before


def test_a_revoked_member_stays_revoked(folder: Path) -> None:
    admit(folder, "police")
    partnership.set_state(folder, "police", "suspended", now=NOW)
    with pytest.raises(EnrolmentRefused):
        admit(folder, "police")
    partnership.set_state(folder, "police", "active", now=NOW)
    version = partnership.set_state(folder, "police", "revoked", now=NOW)

    roster = read_roster((folder / "roster.json").read_bytes())
    assert (roster.version, roster.active_members()) == (version, ())
    for act in (
        lambda: partnership.set_state(folder, "police", "active", now=NOW),
        lambda: admit(folder, "police"),
        lambda: partnership.set_state(folder, "nobody", "active", now=NOW),
        lambda: partnership.set_state(folder, "police", "happy", now=NOW),
    ):
        with pytest.raises(EnrolmentRefused):
            act()


def test_keys_that_others_can_read_or_that_are_gone_stop_every_act(folder: Path) -> None:
    (folder / "keys" / "ca.key").chmod(0o644)
    with pytest.raises(KeyFileExposed):
        Keys.load(folder)
    (folder / "keys" / "ca.key").unlink()
    with pytest.raises(KeyFileMissing):
        Keys.load(folder)


def test_the_gateways_certificate_is_renewed_at_half_its_life_and_for_new_hosts(folder: Path) -> None:
    key, config, anchor = (folder / "keys/tls.key").read_bytes(), load_config(folder), read_anchor(folder)
    first = certificate(config, anchor, key, now=NOW)

    assert certificate(config, anchor, key, now=NOW + timedelta(days=100)) == first
    assert certificate(config, anchor, key, now=NOW + timedelta(days=200)) != first
    moved = config.model_copy(update={"addresses": ["gateway.example:7443"]})
    assert certificate(moved, anchor, key, now=NOW + timedelta(days=200)) != first


def test_serving_does_not_need_the_key_of_the_certificate_authority(folder: Path) -> None:
    (folder / "keys/ca.key").unlink()

    serving_credentials(load_config(folder), now=NOW)
    with pytest.raises(KeyFileMissing):
        serving_credentials(load_config(folder), now=NOW + timedelta(days=200))


def test_serving_refuses_while_any_key_that_is_here_is_exposed(folder: Path) -> None:
    (folder / "keys/gateway.key").chmod(0o640)

    with pytest.raises(KeyFileExposed):
        serving_credentials(load_config(folder), now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        'federation = "northshire"\n',
        'federation = "northshire"\nlisten = "127.0.0.1:1"\ncolour = "blue"\n',
        'federation = "northshire"\nlisten = "127.0.0.1:1"\n[link]\nbeat_ms = 1\n',
        'federation = "northshire"\nlisten = "127.0.0.1:1"\n[link]\nbeat_s = 1\n',
        "not = [toml",
    ],
)
def test_settings_with_unknown_or_impossible_keys_are_refused(folder: Path, text: str) -> None:
    (folder / "gateway.toml").write_text(text)

    with pytest.raises(ConfigInvalid):
        load_config(folder)


def test_a_folder_without_a_gateway_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="gateway init"):
        load_config(tmp_path)
