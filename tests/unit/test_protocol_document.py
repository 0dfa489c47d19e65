"""docs/protocol.md says what the code does: every number and byte string printed in it is made again here.

A block of the document that opens with three backticks, `vector` and a label holds lines `name = value`;
lines indented by four spaces go on with the value before. When a block differs, the failure shows it anew.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import textwrap
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from elsewhere import (
    enrolment,
    lookup,
    matching,
    question,
    receipt,
    rekeying,
    roster,
    sealing,
    signing,
    statement,
)
from elsewhere.agreement import document as agreement
from elsewhere.canonical import canonical_json
from elsewhere.catalogue import sealed as chunks
from elsewhere.catalogue import statement as catalogue
from elsewhere.catalogue import tags
from elsewhere.keyparts import skeleton
from elsewhere.matchkeys import MatchKey, question_keys
from elsewhere.oprf import dleq, voprf
from elsewhere.person.identity import Person
from elsewhere.person.names import family_words, first_names, fold
from elsewhere.person.places import read_postcode
from elsewhere.published import CatalogueId
from elsewhere.wire import channel, kinds
from elsewhere.wire.convert import link
from elsewhere.wire.convert.lookup import signed_to_wire
from node.answering import kept
from node.config import NodeConfig
from node.keys import stating
from tests.architecture.sources import PACKAGES, ROOT

DOCUMENT = (ROOT / "docs/protocol.md").read_text("utf-8")
VALUE_WIDTH = 96

PERSON = Person.of(
    given="Amara", family="Okafor", dob="2015-03-12", postcode="NX1 2AB", nhs_number="999 000 0026"
)
KEYS = question_keys(PERSON)
SALT, SEED = bytes([1]) * 32, bytes([2]) * 32
LOOKUP_ID = bytes(range(16))
SECRETS = question.QuestionSecrets(PERSON.canonical(), "2", SALT, SEED)
OPRF_KEY = voprf.derive_key(bytes([3]) * 32, b"docs/protocol.md")
SIGNING_KEY = signing.SigningKey.from_seed(bytes([4]) * 32)
SEALING_KEY = sealing.SealingKey.from_bytes(bytes(range(96)))
CONTEXT = kinds.request_context("schools", "police", LOOKUP_ID, 1)
SNAPSHOT = CatalogueId("police", "involvement", 1, 1)
DELTA = CatalogueId("police", "involvement", 1, 2)
SNAPSHOT_KEY = bytes([5]) * 32
SNAPSHOT_TAGS = np.array([1, 2**63], dtype=np.uint64)
DELTA_TAGS = np.array([7], dtype=np.uint64)


def _vectors() -> dict[str, dict[str, str]]:
    """Every block of the document, made from the code."""
    return {
        "sizes": _sizes(),
        "payload types": _payload_types(),
        "signature": _signature(),
        "person": {"canonical": PERSON.canonical().decode()},
        "first names": {name: "".join(first_names((name,))[:1]) for name in _FIRST_NAMES},
        "family names": {name: "".join(family_words(name)) for name in _FAMILY_NAMES},
        "skeletons": {name: skeleton(fold(name)) for name in _SKELETONS},
        "postcodes": {written: _postcode(written) for written in _POSTCODES},
        "match keys": {name: _key(*parts).data.hex() for name, parts in _SHOWN_KEYS.items()},
        "question keys": {f"{place:02}": _in_words(key) for place, key in enumerate(KEYS)},
        "question": _question(),
        "oprf": _oprf(),
        "info": _info(),
        "pad": {"message": b"abc".hex(), "padded": sealing.pad(b"abc", 16).hex()},
        "catalogue": _catalogue(),
        "answer": _answer(),
    }


_FIRST_NAMES = ["Amara", "Zoë", "Anne-Marie", "Mary Jane", "Mr Tim", "Baby of Jane", "Baby Jane", "Θεόδωρος"]
_FIRST_NAMES += ["Дмитрий"]
_FAMILY_NAMES = [
    "O'Neill",
    "Mac Neil",
    "Mackey",
    "Macey",
    "Saint-Pierre",
    "van der Berg",
    "Łukaszewska",
    "De",
]
_FAMILY_NAMES += ["Not known"]
_SKELETONS = ["Mohammed", "Josef", "Xavier", "Mia", "Hossein", "Abdelkader"]
_POSTCODES = ["nx1 2ab", "SW1A OAA", "AB1 2CD", "ZZ99 3VZ", "NFA"]
_SHOWN_KEYS = {
    "nhs": ("nhs", ("9990000026",)),
    "fl-dq": ("fl-dq", ("amara|okafor", "2015-03-12")),
    "fk-dq-p3": ("fk-dq-p3", ("amr", "2015-03-12", "NX12A")),
}


def _sizes() -> dict[str, str]:
    settings = NodeConfig(agency="police", name="Police", dir=ROOT).lookup
    found = {
        "protocol version": lookup.PROTOCOL_VERSION,
        "slots": lookup.SLOTS,
        "most reveals": lookup.MAX_REVEALS,
        "most groups": matching.GROUP_LIMIT,
        "most flags": lookup.MAX_FLAGS,
        "EvaluateRequest, padded": sealing.EVALUATE_REQUEST,
        "EvaluateReply, padded": sealing.EVALUATE_REPLY,
        "RedeemRequest, padded": sealing.REDEEM_REQUEST,
        "RedeemReply, padded": sealing.REDEEM_REPLY,
        "catalogue key, padded": sealing.CATALOGUE_KEY,
        "most bytes of a RedeemRequest": _room(sealing.REDEEM_REQUEST),
        "most bytes of a RedeemReply": _room(sealing.REDEEM_REPLY),
        "most bytes of the others": _room(sealing.EVALUATE_REQUEST),
        "overhead of a seal": sealing.OVERHEAD_BYTES,
        "EvaluateRequest, sealed": link.REQUEST_BYTES[1],
        "EvaluateReply, sealed": link.REPLY_BYTES[1],
        "RedeemRequest, sealed": link.REQUEST_BYTES[2],
        "RedeemReply, sealed": link.REPLY_BYTES[2],
        "catalogue key, sealed": sealing.sealed_size(sealing.CATALOGUE_KEY),
        "sealing public key": sealing.PUBLIC_BYTES,
        "most questions in an Ask": link.MAX_QUESTIONS,
        "shortest deadline, ms": link.MIN_DEADLINE_MS,
        "longest deadline, ms": link.MAX_DEADLINE_MS,
        "usual deadline, ms": settings.deadline_ms,
        "shortest beat, ms": link.MIN_BEAT_MS,
        "longest beat, ms": link.MAX_BEAT_MS,
        "beats missed that end a link": link.MISSED_BEATS,
        "largest message to the gateway": channel.MAX_TO_GATEWAY_BYTES,
        "largest message to a node": channel.MAX_TO_NODE_BYTES,
        "largest envelope": signing.MAX_ENVELOPE_BYTES,
        "clock tolerance, s": settings.clock_tolerance_s,
        "redeemable for, s": int(kept.REDEEMABLE_FOR.total_seconds()),
        "tick of second replies, ms": settings.redeem_tick_ms,
        "new epoch after, days": stating.Schedule().epoch.days,
        "epoch before it goes on for, hours": int(stating.Schedule().overlap / timedelta(hours=1)),
        "new epoch stated before it is asked, minutes": int(
            stating.Schedule().announce / timedelta(minutes=1)
        ),
        "answered after the end of an epoch, s": int(stating.LINGER.total_seconds()),
        "new sealing key after, days": stating.Schedule().sealing.days,
        "sealing key before it opens for, hours": int(
            stating.Schedule().sealing_overlap / timedelta(hours=1)
        ),
        "catalogue chunk": chunks.CHUNK_SIZE,
        "catalogue chunk, encrypted": chunks.CHUNK_SIZE + chunks.GCM_TAG_SIZE,
        "most chunks": chunks.MAX_CHUNKS,
    }
    return {name: str(value) for name, value in found.items()}


def _room(size: int) -> int:
    """How long an encoded message may be so that its `Signed` fits."""
    around = len(signed_to_wire(bytes(1000), bytes(signing.SIGNATURE_BYTES))) - 1000
    return size - sealing.LENGTH_BYTES - around


def _payload_types() -> dict[str, str]:
    return {
        "join request": enrolment.REQUEST_TYPE,
        "roster": roster.ROSTER_TYPE,
        "agreement": agreement.AGREEMENT_TYPE,
        "wish for another signing key": rekeying.REKEYING_TYPE,
        "key statement": statement.STATEMENT_TYPE,
        "catalogue statement": statement.CATALOGUE_STATEMENT_TYPE,
        "receipt": receipt.RECEIPT_TYPE,
        "EvaluateRequest": kinds.EVALUATE_REQUEST.payload_type,
        "EvaluateReply": kinds.EVALUATE_REPLY.payload_type,
        "RedeemRequest": kinds.REDEEM_REQUEST.payload_type,
        "RedeemReply": kinds.REDEEM_REPLY.payload_type,
    }


def _signature() -> dict[str, str]:
    kind, payload = kinds.REDEEM_REQUEST.payload_type, b"abc"
    return {
        "seed": SIGNING_KEY.seed.hex(),
        "public": SIGNING_KEY.public.hex(),
        "key id": SIGNING_KEY.key_id,
        "payload": payload.hex(),
        "encoding": signing.pae(kind, payload).decode(),
        "signature": signing.sign_bytes(SIGNING_KEY, kind, payload).hex(),
    }


def _question() -> dict[str, str]:
    asked = question.build_question([_key(*parts).data for parts in _SHOWN_KEYS.values()], SECRETS)
    slots = ["." if index is None else str(index) for index in asked.key_of_slot]
    own = {index: slot for slot, index in enumerate(asked.key_of_slot) if index is not None}
    return {
        "salt": SALT.hex(),
        "seed": SEED.hex(),
        "slots": " ".join(slots),
        f"input {slots.index('.')}": asked.inputs[slots.index(".")].hex(),
        f"blind {own[0]}": asked.blinds[own[0]].hex(),
        f"element {own[0]}": asked.blinded[own[0]].hex(),
        "all elements, SHA-256": hashlib.sha256(b"".join(asked.blinded)).hexdigest(),
        "commitment": asked.commitment.hex(),
    }


def _oprf() -> dict[str, str]:
    tag = voprf.tag_each(OPRF_KEY, [_key(*_SHOWN_KEYS["nhs"]).data])[0]
    return {
        "context": dleq.CONTEXT.hex(),
        "key": OPRF_KEY.scalar.hex(),
        "public": voprf.public_key(OPRF_KEY).hex(),
        "tag of nhs": tag.hex(),
        "short tag of nhs": str(int(tags.short_tags([tag])[0])),
    }


def _info() -> dict[str, str]:
    grant = sealing.Context.for_catalogue_key(
        protocol_version=1, sender="police", receiver="schools", catalogue=SNAPSHOT.bind(b"key", 0, 1)
    )
    return {
        "round 1, request": CONTEXT.info().hex(),
        "round 2, reply": kinds.reply_context("schools", "police", LOOKUP_ID, 2).info().hex(),
        "catalogue key": grant.info().hex(),
    }


def _catalogue() -> dict[str, str]:
    snapshot_root = catalogue.snapshot_root(SNAPSHOT_TAGS)
    return {
        "snapshot, in clear": tags.to_bytes(SNAPSHOT_TAGS).hex(),
        "snapshot key": SNAPSHOT_KEY.hex(),
        "associated data": SNAPSHOT.bind(b"snapshot", 0, 1).hex(),
        "chunk 0": next(chunks.seal_snapshot(SNAPSHOT_TAGS, SNAPSHOT_KEY, SNAPSHOT)).hex(),
        "snapshot root": snapshot_root.hex(),
        "delta, in clear": tags.to_bytes(DELTA_TAGS).hex(),
        "delta": chunks.seal_delta(DELTA_TAGS, SNAPSHOT_KEY, DELTA).hex(),
        "delta root": catalogue.delta_root(snapshot_root, DELTA_TAGS).hex(),
    }


def _answer() -> dict[str, str]:
    nothing = lookup.Answer(lookup.AnswerState.NOTHING_RETURNED)
    found = lookup.Answer(
        lookup.AnswerState.KNOWN_CURRENT,
        strength="STRONG",
        tier="R3",
        contact=lookup.Contact("Early help team", "0000 000 001", "0000 000 002"),
        last_contact_band="<30d",
        flags=(lookup.Flag("CP_PLAN", "2026-01-05"),),
    )
    return {
        "nothing": canonical_json(receipt.answer_to_json(nothing)).decode(),
        "nothing, digest": receipt.answer_digest(nothing),
        "found": canonical_json(receipt.answer_to_json(found)).decode(),
        "found, digest": receipt.answer_digest(found),
    }


def _parts(key: MatchKey) -> list[str]:
    """Take a match key apart by the rule of the document."""
    rest = key.data.removeprefix(b"elsewhere/matchkey/")
    found = []
    while rest:
        size = int.from_bytes(rest[:2])
        found.append(rest[2 : 2 + size].decode())
        rest = rest[2 + size :]
    return found


def _in_words(key: MatchKey) -> str:
    _, rule, *values = _parts(key)
    return f"{key.strength.name} {rule}: {', '.join(values)}"


def _postcode(written: str) -> str:
    code = read_postcode(written)
    return f"{code.text}, {code.sector}, {code.outward}" if code and code.is_usable else ""


def _key(rule: str, values: tuple[str, ...]) -> MatchKey:
    return next(key for key in KEYS if _parts(key)[1:] == [rule, *values])


def _blocks() -> dict[str, str]:
    found = re.findall(r"^```vector ([a-z ]+)\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    assert len(dict(found)) == len(found), "a label is used twice"
    return dict(found)


def _written(values: dict[str, str]) -> str:
    """Write a block as the document holds it."""
    lines: list[str] = []
    for name, value in values.items():
        if len(name) + len(value) <= VALUE_WIDTH:
            lines.append(f"{name} = {value}")
        else:
            parts = [value[at : at + VALUE_WIDTH] for at in range(0, len(value), VALUE_WIDTH)]
            lines += [f"{name} =", *(f"    {part}" for part in parts)]
    return "\n".join(lines) + "\n"


def _read(block: str) -> dict[str, str]:
    """Read a block as a reader of the document would."""
    found: dict[str, str] = {}
    for line in block.splitlines():
        if line.startswith("    "):
            found[next(reversed(found))] += line.removeprefix("    ")
        else:
            name, _, value = line.partition(" =")
            found[name] = value.removeprefix(" ")
    return found


def _headings() -> Iterator[str]:
    return (match.strip() for match in re.findall(r"^#+ (?:\d+(?:\.\d+)* )?(.*)$", DOCUMENT, re.MULTILINE))


@pytest.mark.parametrize("label", [*_vectors()])
def test_the_document_prints_what_the_code_gives(label: str) -> None:
    expected = _vectors()[label]

    assert _read(_blocks().get(label, "")) == expected, f"the block should now be\n{_written(expected)}"


def test_the_document_prints_no_vector_that_nothing_checks() -> None:
    assert _blocks().keys() - _vectors().keys() == {
        "seal"
    }  # checked below, as sealing draws its own randomness


def test_the_printed_seal_opens_by_the_words_of_the_document_alone() -> None:
    block = _read(_blocks()["seal"])
    assert bytes.fromhex(block["secret"]) == SEALING_KEY.secret
    assert block["key id"] == SEALING_KEY.key_id
    assert bytes.fromhex(block["info"]) == CONTEXT.info()

    opened = _open_by_hand(bytes.fromhex(block["secret"]), bytes.fromhex(block["sealed"]), CONTEXT.info())

    assert opened == sealing.pad(b"abc", 16)


def _open_by_hand(secret: bytes, sealed: bytes, info: bytes) -> bytes:
    """RFC 9180 base mode over the hybrid KEM, with none of our own code."""
    lattice = MLKEM768PrivateKey.from_seed_bytes(secret[:64])
    curve = X25519PrivateKey.from_private_bytes(secret[64:])
    lattice_text, share, ciphertext = sealed[:1088], sealed[1088:1120], sealed[1120:]
    shared = hashlib.sha3_256(
        lattice.decapsulate(lattice_text)
        + curve.exchange(X25519PublicKey.from_public_bytes(share))
        + share
        + curve.public_key().public_bytes_raw()
        + bytes.fromhex("5c2e2f2f5e5c")
    ).digest()
    suite = b"HPKE" + bytes.fromhex("647a00010002")

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, hashlib.sha256)

    def expand(prk: bytes, label: bytes, size: int) -> bytes:
        # RFC 5869 §2.3 with one block, as no more than 32 bytes are needed.
        labelled = size.to_bytes(2) + b"HPKE-v1" + suite + label + context
        return hmac.digest(prk, labelled + b"\x01", hashlib.sha256)[:size]

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    prk = extract(shared, b"secret", b"")
    return AESGCM(expand(prk, b"key", 32)).decrypt(expand(prk, b"base_nonce", 12), ciphertext, b"")


def test_every_section_that_the_source_names_is_in_the_document() -> None:
    named = {
        name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for names in re.findall(r'docs/protocol\.md((?:,\s+"[^"]+")+)', path.read_text("utf-8"))
        for name in re.findall(r'"([^"]+)"', textwrap.dedent(names))
    }

    assert named - set(_headings()) == set()
