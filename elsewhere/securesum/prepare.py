"""A prepare: a node's signed word that it takes part in one query, with the key of its masks.

Sees:     public keys, digests, what is left of a budget.
Refuses:  a prepare that its node has not signed, or that says something else than we would write.
Source:   docs/protocol.md, "Studies".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_text
from elsewhere.roster import AGENCY_ID
from elsewhere.signing import SigningKey, enclose, open_envelope, sign_bytes

PREPARE_TYPE: Final = "application/vnd.elsewhere.study-prepare.v1+json"
MAX_PREPARE_BYTES: Final = 64 * 1024
DIGEST_BYTES: Final = 32
EPK_BYTES: Final = 32
MAX_NRHO: Final = 2**53 - 1
_LABEL: Final = b"elsewhere/study/roster/v1"


@dataclass(frozen=True, slots=True)
class Prepare:
    """What a node signs. `payload` is the very bytes, of which the roster's digest is made."""

    agency: str
    qid: bytes  # 32 bytes, SHA-256 of the query's payload
    epk: bytes  # 32 bytes, X25519, made for this query and held in memory only
    seals: Mapping[str, bytes]  # by agency: SHA-256 of what was sealed to it
    left_nrho: int  # of the tightest cap, once this query is paid for
    payload: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        as_text(self.agency, "agency", AGENCY_ID)
        for name in ("qid", "epk"):
            if len(getattr(self, name)) != DIGEST_BYTES:
                raise DocumentInvalid(name, f"expected {DIGEST_BYTES} bytes")
        for agency, digest in self.seals.items():
            as_text(agency, "seals", AGENCY_ID)
            if len(digest) != DIGEST_BYTES or agency <= self.agency:
                raise DocumentInvalid("seals", "expected digests for agencies whose ids sort after its own")
        if not 0 <= self.left_nrho <= MAX_NRHO:
            raise DocumentInvalid("left_nrho", f"expected a whole number from 0 to {MAX_NRHO}")
        object.__setattr__(self, "payload", canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Json]:
        """Write the payload."""
        return {
            "agency": self.agency,
            "qid": self.qid.hex(),
            "epk": self.epk.hex(),
            "seals": {agency: digest.hex() for agency, digest in self.seals.items()},
            "left_nrho": self.left_nrho,
        }


def sign_prepare(key: SigningKey, prepare: Prepare) -> bytes:
    """Sign with the key that the roster lists for this agency."""
    signature = sign_bytes(key, PREPARE_TYPE, prepare.payload)
    return enclose(PREPARE_TYPE, prepare.payload, {key.public: signature})


def open_prepare(envelope: bytes, signer: bytes) -> Prepare:
    """Read a prepare.

    Args:
        envelope: as received.
        signer: the agency's signing key, from the roster.

    Raises:
        SignatureInvalid, NotCanonical, DocumentInvalid: use nothing of it.
    """
    return read_prepare(open_envelope(envelope, PREPARE_TYPE, [signer], limit=MAX_PREPARE_BYTES))


def read_prepare(payload: bytes) -> Prepare:
    """Read a prepare's payload; who signed it is the caller's to check. Raises as `open_prepare`."""
    fields = Fields(parse_canonical(payload))
    seals = fields.take("seals")
    if not isinstance(seals, dict):
        raise DocumentInvalid("seals", "expected digests by agency")
    listed = Fields(seals, "seals")
    found = Prepare(
        agency=fields.text("agency", AGENCY_ID),
        qid=fields.octets("qid", DIGEST_BYTES),
        epk=fields.octets("epk", EPK_BYTES),
        seals={agency: listed.octets(agency, DIGEST_BYTES) for agency in seals},
        left_nrho=fields.integer("left_nrho", 0, MAX_NRHO),
    )
    fields.done()
    return found


def roster_hash(qid: bytes, colluding: int, prepares: Sequence[Prepare]) -> bytes:
    """Digest of who takes part, with which keys: every mask is bound to it.

    Args:
        qid: of the query, 32 bytes.
        colluding: c, how many operators may collude.
        prepares: of all that take part, in any order.

    Returns: 32 bytes.
    """
    parts = [_LABEL, qid, colluding.to_bytes(4, "big")]
    parts += [prepare.payload for prepare in sorted(prepares, key=lambda one: one.agency)]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
