"""The document's test vectors, made again by this code from what each block states as given."""

from __future__ import annotations

import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from searcher import catalogues, documents, question, ristretto, seal, voprf
from searcher.catalogues import Catalogue
from searcher.keys import KeySet
from searcher.names import skeleton
from searcher.parts import Child, of_place
from searcher.seal import Place, SealingKey

CHILD = Child("Amara", "Okafor", "2015-03-12", "NX1 2AB", (), "999 000 0026")
LOOKUP_ID = bytes(range(16))
REQUEST = Place("schools", "police", "request", LOOKUP_ID, 1)
CATALOGUE = Catalogue("police", "involvement", 1)
Block = dict[str, str]


def make(blocks: dict[str, Block], keys: KeySet) -> dict[str, Block]:
    """Return the blocks that this code can make, by label."""
    return {
        "signature": _signature(blocks["signature"]),
        "first names": {n: (keys.names.firsts(n) or [""])[0] for n in blocks["first names"]},
        "family names": {n: "".join(keys.names.family_words(n)) for n in blocks["family names"]},
        "skeletons": {n: skeleton("".join(keys.names.fold(n))) for n in blocks["skeletons"]},
        "postcodes": {code: _place(code, keys) for code in blocks["postcodes"]},
        "match keys": _match_keys(keys),
        "question keys": {f"{n:02}": k.in_words() for n, k in enumerate(keys.question(CHILD))},
        "person": {"canonical": CHILD.canonical().decode()},
        "question": _question(blocks["question"], keys),
        "oprf": _oprf(blocks["oprf"], keys),
        "info": _info(),
        "pad": {"padded": seal.pad(bytes.fromhex(blocks["pad"]["message"]), 16).hex()},
        "seal": _seal(blocks["seal"]),
        "catalogue": _catalogue(blocks["catalogue"]),
        "answer": _answer(blocks["answer"]),
    }


def _signature(given: Block) -> Block:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(given["seed"]))
    kind, payload = documents.message_type("redeem-request"), bytes.fromhex(given["payload"])
    public = key.public_key().public_bytes_raw()
    return {
        "public": public.hex(),
        "key id": documents.key_id(public),
        "encoding": documents.encoding(kind, payload).decode(),
        "signature": documents.sign(key, kind, payload).hex(),
    }


def _place(postcode: str, keys: KeySet) -> str:
    return ", ".join(values[0] for values, _ in of_place(postcode, keys.names).values())


def _match_keys(keys: KeySet) -> Block:
    first: Block = {}
    for key in keys.question(CHILD):
        first.setdefault(key.rule, key.data.hex())
    return {rule: first[rule] for rule in ("nhs", "fl-dq", "fk-dq-p3")}


def _question(given: Block, keys: KeySet) -> Block:
    seed, salt = bytes.fromhex(given["seed"]), bytes.fromhex(given["salt"])
    every = {key.data.hex(): key for key in keys.question(CHILD)}
    asked = [every[data] for data in _match_keys(keys).values()]
    slots = question.from_seed(asked, seed)
    places = (str(asked.index(slot.key)) if slot.key is not None else "." for slot in slots)
    return {
        "slots": " ".join(places),
        "input 0": slots[0].input.hex(),
        "blind 10": slots[10].blind.to_bytes(32, "little").hex(),
        "element 10": slots[10].element.hex(),
        "all elements, SHA-256": hashlib.sha256(b"".join(slot.element for slot in slots)).hexdigest(),
        "commitment": question.commitment(salt, CHILD.canonical(), seed, keys.version).hex(),
    }


def _oprf(given: Block, keys: KeySet) -> Block:
    key = ristretto.scalar_from_wire(bytes.fromhex(given["key"]))
    data = bytes.fromhex(_match_keys(keys)["nhs"])
    evaluated = ristretto.multiply(key, voprf.hash_to_group(data))
    tag = voprf.finalise(data, 1, evaluated)
    return {
        "context": voprf.CONTEXT.hex(),
        "public": ristretto.multiply_base(key).hex(),
        "tag of nhs": tag.hex(),
        "short tag of nhs": str(int.from_bytes(tag[:8], "big")),
    }


def _info() -> Block:
    about = CATALOGUE.associated("key", 1, 0, 1)
    return {
        "round 1, request": REQUEST.info().hex(),
        "round 2, reply": Place("police", "schools", "reply", LOOKUP_ID, 2).info().hex(),
        "catalogue key": Place("police", "schools", "catalogue-key", about, 0).info().hex(),
    }


def _seal(given: Block) -> Block:
    """Opening the seal shows that it is the padded message; what is stated is what was opened."""
    key = SealingKey(bytes.fromhex(given["secret"]))
    opened = key.open(bytes.fromhex(given["sealed"]), REQUEST)
    return {"key id": documents.key_id(key.public()), "info": REQUEST.info().hex(), "opened": opened.hex()}


def _catalogue(given: Block) -> Block:
    clear, key = bytes.fromhex(given["snapshot, in clear"]), bytes.fromhex(given["snapshot key"])
    associated = CATALOGUE.associated("snapshot", 1, 0, 1)
    delta = bytes.fromhex(given["delta"])
    opened = AESGCM(catalogues.delta_key(key, 2)).decrypt(
        delta[:12], delta[12:], CATALOGUE.associated("delta", 2, 0, 1)
    )
    root = catalogues.snapshot_root(clear)
    return {
        "associated data": associated.hex(),
        "chunk 0": AESGCM(key).encrypt(bytes(12), clear, associated).hex(),
        "snapshot root": root.hex(),
        "delta, in clear": opened.hex(),
        "delta root": catalogues.delta_root(root, opened).hex(),
    }


def _answer(given: Block) -> Block:
    texts = ("contact_in_hours", "contact_out_of_hours", "last_contact_band", "service", "strength", "tier")
    nothing: dict[str, Any] = {name: "" for name in texts}
    nothing |= {"flags": [], "source_age_days": 0, "source_stale": False, "state": "NOTHING_RETURNED"}
    written = documents.canonical(nothing)
    return {
        "nothing": written.decode(),
        "nothing, digest": hashlib.sha256(written).hexdigest(),
        "found, digest": hashlib.sha256(given["found"].encode()).hexdigest(),
    }
