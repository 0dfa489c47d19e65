"""The TLS key and its certificate are one thing, at every moment of a change and after a crash in it."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest

from elsewhere.errors import CertificateInvalid, KeyFileExposed, NotAdmitted
from elsewhere.wire.tls import make_authority, make_key, make_request, sign_node
from node.keys.ring import KeyRing
from node.membership import hop
from node.membership.hop import CERTIFICATE, KEY, Hop, read_hop, write_hop

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
AUTHORITY = make_authority("northshire", now=NOW)


def pair() -> Hop:
    key = make_key()
    return Hop(key, sign_node(AUTHORITY, make_request(key, "police"), agency="police", now=NOW))


@pytest.fixture
def first(tmp_path: Path) -> Hop:
    made = pair()
    KeyRing.create(tmp_path, tls_pem=made.key_pem, random=secrets.token_bytes)
    (tmp_path / "trust").mkdir()
    (tmp_path / CERTIFICATE).write_bytes(made.cert_pem)
    return made


def keys_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "keys").glob("tls*"))


def test_a_pair_is_replaced_whole_and_the_one_before_destroyed(tmp_path: Path, first: Hop) -> None:
    second = pair()
    write_hop(tmp_path, second)

    found = read_hop(tmp_path)
    assert (found.key_pem, found.cert_pem) == (second.key_pem, second.cert_pem)
    assert keys_in(tmp_path) == ["tls.key"]
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("step", "is_new"), [("write_secret", False), ("replace_file", False), ("destroy_secret", True)]
)
def test_a_crash_anywhere_in_a_change_leaves_one_pair_or_the_other(
    tmp_path: Path, first: Hop, step: str, is_new: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise OSError("crash")

    second = pair()
    with monkeypatch.context() as patched:
        patched.setattr(hop, step, crash)
        with pytest.raises(OSError, match="crash"):
            write_hop(tmp_path, second)

    assert read_hop(tmp_path).cert_pem == (second if is_new else first).cert_pem
    third = pair()
    write_hop(tmp_path, third)
    assert read_hop(tmp_path).key_pem == third.key_pem
    assert keys_in(tmp_path) == ["tls.key"]


def test_a_crash_after_the_old_key_went_leaves_the_new_pair(tmp_path: Path, first: Hop) -> None:
    second = pair()
    write_hop(tmp_path, second)
    (tmp_path / KEY).rename(tmp_path / "keys" / "tls-next.key")

    assert read_hop(tmp_path).key_pem == second.key_pem


def test_a_pair_that_does_not_belong_together_is_refused(tmp_path: Path, first: Hop) -> None:
    (tmp_path / CERTIFICATE).write_bytes(pair().cert_pem)

    with pytest.raises(CertificateInvalid):
        read_hop(tmp_path)


def test_a_node_without_a_certificate_has_not_been_admitted(tmp_path: Path, first: Hop) -> None:
    (tmp_path / CERTIFICATE).unlink()

    with pytest.raises(NotAdmitted):
        read_hop(tmp_path)


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, first: Hop) -> None:
    (tmp_path / KEY).chmod(0o640)

    with pytest.raises(KeyFileExposed):
        read_hop(tmp_path)
