"""A share: what one node adds to the sum of one query, masked for one roster, and signed.

Sees:     masked numbers, which say nothing until everybody's are added.
Refuses:  a share that its node has not signed; a body that is no whole number of words.
Source:   docs/protocol.md, "Studies".
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

from elsewhere.canonical import Json, parse_canonical
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_text
from elsewhere.roster import AGENCY_ID
from elsewhere.securesum.masks import WORD_BYTES
from elsewhere.signing import SigningKey, open_envelope, sign_document

SHARE_TYPE: Final = "application/vnd.elsewhere.study-share.v1+json"
MAX_SHARE_BYTES: Final = 1024 * 1024
DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Share:
    """What a node signs."""

    agency: str
    qid: bytes  # 32 bytes
    rh: bytes  # 32 bytes, digest of the roster it is masked for
    body: bytes = field(repr=False)  # 8 bytes a cell
    leaf: bytes  # 32 bytes: hash of the entry in this agency's log that says what was charged

    def __post_init__(self) -> None:
        as_text(self.agency, "agency", AGENCY_ID)
        for name in ("qid", "rh", "leaf"):
            if len(getattr(self, name)) != DIGEST_BYTES:
                raise DocumentInvalid(name, f"expected {DIGEST_BYTES} bytes")
        if not self.body or len(self.body) % WORD_BYTES:
            raise DocumentInvalid("body", f"expected a multiple of {WORD_BYTES} bytes")

    def to_json(self) -> dict[str, Json]:
        """Write the payload."""
        return {
            "agency": self.agency,
            "qid": self.qid.hex(),
            "rh": self.rh.hex(),
            "body": base64.b64encode(self.body).decode("ascii"),
            "leaf": self.leaf.hex(),
        }


def sign_share(key: SigningKey, share: Share) -> bytes:
    """Sign with the key that the roster lists for this agency."""
    return sign_document([key], SHARE_TYPE, share.to_json())


def open_share(envelope: bytes, signer: bytes) -> Share:
    """Read a share.

    Args:
        envelope: as received.
        signer: the agency's signing key, from the roster.

    Raises:
        SignatureInvalid, NotCanonical, DocumentInvalid: use nothing of it.
    """
    return read_share(open_envelope(envelope, SHARE_TYPE, [signer], limit=MAX_SHARE_BYTES))


def read_share(payload: bytes) -> Share:
    """Read a share's payload; who signed it is the caller's to check. Raises as `open_share`."""
    fields = Fields(parse_canonical(payload))
    found = Share(
        agency=fields.text("agency", AGENCY_ID),
        qid=fields.octets("qid", DIGEST_BYTES),
        rh=fields.octets("rh", DIGEST_BYTES),
        body=_body(fields.take("body")),
        leaf=fields.octets("leaf", DIGEST_BYTES),
    )
    fields.done()
    return found


def _body(value: object) -> bytes:
    """Read base64 in the one form that we write."""
    try:
        found = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        found = b""
    if not found or base64.b64encode(found).decode("ascii") != value:
        raise DocumentInvalid("body", "expected bytes as base64 with padding")
    return found
