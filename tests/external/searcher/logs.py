"""Whether what a receipt names is in its custodian's log.

Source:   docs/protocol.md "Receipts", "Logs"; RFC 9162 §2.1.3.2; C2SP tlog-proof and signed-note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from searcher import documents
from searcher.refusal import Refusal, require

ED25519 = b"\x01"


def check_logged(proof: object, leaf: bytes, origin: str, public: bytes) -> int:
    """Return the entry's place in a log that has signed a tree with it."""
    if not isinstance(proof, str):
        raise Refusal("log.note", "a receipt with its proof")
    head, _, note = proof.partition("\n\n")
    kind, index, *path = head.split("\n")
    require(kind == "c2sp.org/tlog-proof@v1", "log.note", "a tlog-proof")
    require(index.startswith("index "), "log.note", "an index")
    size, root = check_signed(note, origin, public)
    place = int(index.removeprefix("index "))
    require(root_from(leaf, place, size, [_octets(line) for line in path]) == root, "log.proof", "that root")
    return place


def check_signed(note: str, origin: str, public: bytes) -> tuple[int, bytes]:
    """Size and root of a checkpoint that its own log has signed."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    named, size, root = text.removesuffix("\n").split("\n")
    require(named == origin, "log.note", "a checkpoint of this log")
    key_id = hashlib.sha256(origin.encode() + b"\n" + ED25519 + public).digest()[:4]
    for line in lines.removesuffix("\n").split("\n"):
        dash, name, encoded = line.split(" ")
        signed = _octets(encoded)
        if (dash, name, signed[:4]) == ("\u2014", origin, key_id):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(signed[4:], text.encode())
            except InvalidSignature:
                raise Refusal("log.note", "a signature that holds") from None
            return int(size), _octets(root)
    raise Refusal("log.note", "a checkpoint signed by its log")


def root_from(leaf: bytes, place: int, size: int, path: list[bytes]) -> bytes:
    """The root that a path leads to: RFC 9162 §2.1.3.2, step by step."""
    require(place < size, "log.proof", "an entry within the tree")
    number, last, root = place, size - 1, leaf
    for beside in path:
        require(last > 0, "log.proof", "a shorter path")
        if number % 2 or number == last:
            root = _node(beside, root)
            while number % 2 == 0 and number:
                number, last = number // 2, last // 2
        else:
            root = _node(root, beside)
        number, last = number // 2, last // 2
    require(last == 0, "log.proof", "a longer path")
    return root


def check_export(lines: list[bytes], origin: str, public: bytes) -> list[bytes]:
    """Give the leaves of a whole log, if they are what it has signed and each entry told has its own."""
    head, *entries = map(documents.parse, lines)
    require(head["public"] == public.hex(), "log.note", "the key of the roster")
    size, root = check_signed(head["checkpoint"], origin, public)
    require(size == head["entries"] == len(entries), "log.proof", "as many entries as were signed")
    leaves = []
    for index, entry in enumerate(entries):
        require(entry["index"] == index, "log.proof", "entries in their order")
        leaves.append(bytes.fromhex(entry["leaf"]))
        if "body" in entry:
            told = hashlib.sha256(b"\x00" + entry["body"].encode()).digest()
            require(told == leaves[-1], "log.proof", "the entry that was logged")
    require(tree_root(leaves) == root, "log.proof", "the root that was signed")
    return leaves


def tree_root(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, as it is defined there."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return _node(tree_root(leaves[:half]), tree_root(leaves[half:]))


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Refusal("log.note", "base64") from None
