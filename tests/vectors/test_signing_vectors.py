"""Published vectors of RFC 8032, DSSE and RFC 8785, run against our own entry points."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.errors import SignatureInvalid
from elsewhere.signing import SigningKey, open_envelope, pae

HERE = Path(__file__).parent


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / name).read_text("utf-8"))
    return found


def cases(name: str) -> list[Any]:
    return [pytest.param(vector, id=vector["id"]) for vector in load(name)["vectors"]]


@pytest.mark.parametrize("name", ["dsse.json", "ed25519.json", "jcs.json"])
def test_the_vectors_are_the_ones_that_were_copied(name: str) -> None:
    file = load(name)

    assert hashlib.sha256(canonical_json(file["vectors"])).hexdigest() == file["sha256"]


@pytest.mark.parametrize("vector", cases("ed25519.json"))
def test_ed25519_signs_as_published(vector: dict[str, str]) -> None:
    key = SigningKey.from_seed(bytes.fromhex(vector["seed"]))

    assert key.public.hex() == vector["public"]
    assert key.sign(bytes.fromhex(vector["message"])).hex() == vector["signature"]


@pytest.mark.parametrize("vector", cases("dsse.json"))
def test_a_dsse_envelope_is_accepted_or_refused_as_published(vector: dict[str, Any]) -> None:
    keys = load("dsse.json")["keys"]
    publics = [bytes.fromhex(keys[name]) for name in vector["trusted"]]
    envelope = json.dumps(
        {
            "payload": vector["payload"],
            "payloadType": vector["payload_type"],
            "signatures": vector["signatures"],
        }
    ).encode()
    payload = base64.urlsafe_b64decode(vector["payload"].replace("+", "-").replace("/", "_"))

    if vector["accept"]:
        assert open_envelope(envelope, vector["expected_type"], publics, vector["threshold"]) == payload
        assert pae(vector["payload_type"], payload).hex() == vector["pae"]
    else:
        with pytest.raises(SignatureInvalid):
            open_envelope(envelope, vector["expected_type"], publics, vector["threshold"])


def test_pae_gives_the_protocol_documents_own_example() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"

    assert pae("http://example.com/HelloWorld", b"hello world") == expected


@pytest.mark.parametrize("vector", cases("jcs.json"))
def test_canonical_json_is_as_published(vector: dict[str, str]) -> None:
    written = canonical_json(json.loads(vector["input"]))

    assert written == vector["output"].encode()
    assert canonical_json(parse_canonical(written)) == written
