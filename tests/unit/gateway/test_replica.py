"""A further gateway: what its folder holds, which documents it takes, and that it signs nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from elsewhere.canonical import canonical_json
from elsewhere.errors import ConfigInvalid, ElsewhereError, RosterForked
from elsewhere.keyfiles import replace_file
from elsewhere.succession import RosterGap, shown_chain
from gateway.carried import MAX_DOCUMENTS_BYTES, take_documents
from gateway.config import load_config
from gateway.enrolment import Founding
from gateway.folder import serving_credentials
from gateway.inforce import read_succession
from gateway.replica import Place, add
from tests import partnership
from tests.gateway_support import found, join, utc_now

ROSTER, AGREEMENT = "roster.json", "agreement.json"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The folder of a federation with two members."""
    folder = tmp_path / "gw"
    folder.mkdir()
    found(folder)
    for agency in ("police", "social"):
        join(folder, agency)
    return folder


@pytest.fixture
def second(first: Path) -> Path:
    folder = first.parent / "gw2"
    add(folder, first, Place("127.0.0.1:0", ("gw2.example:7443",)), now=utc_now())
    return folder


def test_a_further_gateway_has_a_tls_key_of_its_own_and_none_that_certifies(
    first: Path, second: Path
) -> None:
    assert sorted(path.name for path in (second / "keys").iterdir()) == ["gateway.key", "tls.key"]
    assert (second / "keys/tls.key").read_bytes() != (first / "keys/tls.key").read_bytes()
    serving_credentials(load_config(second), now=utc_now())
    with pytest.raises(ConfigInvalid, match="in the folder that was made first"):
        partnership.resign(second, now=utc_now())


def test_its_certificate_is_renewed_and_its_settings_stay(first: Path, second: Path) -> None:
    before = (second / "tls.pem").read_bytes(), (second / "gateway.toml").read_bytes()
    config = add(second, first, Place("other.example:1"), now=utc_now())
    assert config.listen == "127.0.0.1:0"
    assert (second / "tls.pem").read_bytes() != before[0]
    assert (second / "gateway.toml").read_bytes() == before[1]


def test_a_folder_of_another_federation_or_with_keys_is_left_alone(first: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    founding = Founding(federation="southshire", listen="127.0.0.1:0")
    partnership.init(other, founding, now=utc_now(), random=secrets.token_bytes)
    with pytest.raises(ConfigInvalid, match="same federation"):
        add(other, first, Place("127.0.0.1:0"), now=utc_now())
    (other / "gateway.toml").unlink()
    with pytest.raises(ConfigInvalid, match="keys already"):
        add(other, first, Place("127.0.0.1:0"), now=utc_now())


def test_admissions_name_all_gateways(first: Path) -> None:
    text = (first / "gateway.toml").read_text("utf-8")
    (first / "gateway.toml").write_text(f'replicas = ["gw2.example:7443"]\n{text}', "utf-8")
    assert join(first, "schools").admission.gateways == ("127.0.0.1:0", "gw2.example:7443")
    assert "gw2.example" not in load_config(first).hosts


def test_newer_documents_are_taken_and_older_ones_change_nothing(first: Path, second: Path) -> None:
    old = (first / ROSTER).read_bytes(), (first / AGREEMENT).read_bytes()
    version = partnership.set_state(first, "police", "suspended", now=utc_now())
    new = (first / ROSTER).read_bytes()

    assert take_documents(second, new, b"") == (version, 1)
    assert (second / ROSTER).read_bytes() == new
    assert take_documents(second, b"", old[1]) == (version, 1)
    with pytest.raises(ElsewhereError, match="or above"):
        take_documents(second, *old)
    assert (second / ROSTER).read_bytes() == new


def test_an_agreement_is_taken_where_there_was_none(first: Path, second: Path) -> None:
    (second / AGREEMENT).unlink()
    assert take_documents(second, b"", b"")[1] == 0
    assert take_documents(second, b"", (first / AGREEMENT).read_bytes())[1] == 1
    assert (second / AGREEMENT).read_bytes() == (first / AGREEMENT).read_bytes()


@pytest.mark.parametrize(
    "forge",
    [
        lambda good: good.replace(b'"sig":"', b'"sig":"AAAA'),
        lambda good: b"{}",
        lambda good: b"x" * (MAX_DOCUMENTS_BYTES + 1),
    ],
)
def test_what_the_federation_did_not_sign_is_refused(
    first: Path, second: Path, forge: Callable[[bytes], bytes]
) -> None:
    partnership.set_state(first, "police", "suspended", now=utc_now())
    before = (second / ROSTER).read_bytes(), (second / AGREEMENT).read_bytes()
    for documents in ((forge((first / ROSTER).read_bytes()), b""), (b"", forge(before[1]))):
        with pytest.raises(ElsewhereError):
            take_documents(second, *documents)
    assert ((second / ROSTER).read_bytes(), (second / AGREEMENT).read_bytes()) == before


def test_another_roster_of_the_same_version_is_refused(first: Path, second: Path, tmp_path: Path) -> None:
    base = (first / ROSTER).read_bytes()
    partnership.set_state(first, "police", "suspended", now=utc_now())
    one = (first / ROSTER).read_bytes()
    replace_file(first / ROSTER, base)
    partnership.set_state(first, "social", "suspended", now=utc_now())
    take_documents(second, one, b"")
    with pytest.raises(RosterForked):
        take_documents(second, (first / ROSTER).read_bytes(), b"")


def test_a_gateway_that_missed_changes_of_the_stewards_is_handed_those_too(first: Path, second: Path) -> None:
    for agency in ("council", "charity", "probation"):
        partnership.change_stewards(first, [partnership.steward(agency)], now=utc_now())
    version = partnership.set_state(first, "police", "suspended", now=utc_now())
    newest = read_succession(first)

    with pytest.raises(RosterGap):
        take_documents(second, newest.envelope, b"")
    assert take_documents(second, newest.envelope, b"", shown_chain(newest.chain)) == (version, 1)
    assert read_succession(second) == newest


def test_further_signatures_of_an_agreement_are_taken_and_none_is_given_up(first: Path, second: Path) -> None:
    whole = (first / AGREEMENT).read_bytes()
    signatures = json.loads(whole)["signatures"]
    few = canonical_json({**json.loads(whole), "signatures": signatures[:3]})
    (second / AGREEMENT).write_bytes(few)

    take_documents(second, b"", whole)
    assert (second / AGREEMENT).read_bytes() == whole
    take_documents(second, b"", few)
    assert (second / AGREEMENT).read_bytes() == whole
