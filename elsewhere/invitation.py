"""The token that an operator hands to one agency, so that its node can ask to join, or to one researcher.

Holds:    a key of the invitation's own, on its way to them, good once and for one day. The gateway keeps only
          a digest of its certificate, so whoever steals the gateway's disk can use no token.
Sees:     ids, addresses, names.
Refuses:  text that is no token, or was cut short or altered on its way.

The key's certificate is signed by the gateway's CA under a name that no agency can have. So nobody without a
token gets past the gateway's TLS handshake, and no secret is sent to whoever answers at its address.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final, Self

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.enrolment import ADDRESS
from elsewhere.errors import DocumentInvalid, ElsewhereError, NotCanonical
from elsewhere.fields import Fields, as_instant, as_text, format_instant
from elsewhere.roster import AGENCY_ID, SECTOR

PREFIX: Final = "elsewhere-join-1."
RESEARCH_PREFIX: Final = "elsewhere-research-1."
DIGEST_BYTES: Final = 32
MAX_TOKEN_CHARS: Final = 8192
NAME: Final = r"invitation:[0-9a-f]{32}"
RESEARCH_NAME: Final = r"research-invitation:[0-9a-f]{32}"
STATES: Final = ("invited", "requested", "rejected", "probation", "active", "suspended", "revoked", "unknown")
_CHECK_BYTES: Final = 4


class TokenInvalid(ElsewhereError):
    """Not a token, or not the whole of one. Copy it again, all of it; or have the operator make another."""

    code = "invitation.invalid"


class TokenExpired(ElsewhereError):
    """The token's day is over. Have the gateway's operator make another one."""

    code = "invitation.expired"


class TokenUsed(ElsewhereError):
    """Somebody has used this token with other keys. If that was not you, call the operator at once."""

    code = "invitation.used"


class TokenUnknown(ElsewhereError):
    """The gateway has no such invitation, or withdrew it. Have its operator make another one."""

    code = "invitation.unknown"


class AgencyTaken(ElsewhereError):
    """Another key stands for this agency id already, as a member or with a request. Call the operator."""

    code = "enrolment.taken"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Token:
    """What every token says: where the gateways are, how to know them, and a key for one way in."""

    prefix: ClassVar[str]
    own: ClassVar[Mapping[str, str | None]]  # further fields, and their patterns

    federation: str
    gateways: tuple[str, ...]  # host:port, at least one
    anchor: bytes  # 32 bytes: digest of the federation's anchor, which the admission will bring
    expires_utc: datetime  # it is sent by then; what became of it can be asked for longer
    ca_pem: bytes  # signs the certificates of the federation's gateways
    cert_pem: bytes  # of the invitation
    key_pem: bytes = field(repr=False)  # its key

    def __post_init__(self) -> None:
        as_text(self.federation, "federation", AGENCY_ID)
        for name, pattern in self.own.items():
            as_text(getattr(self, name), name, pattern)
        object.__setattr__(self, "expires_utc", as_instant(self.expires_utc, "expires_utc"))
        if not self.gateways:
            raise DocumentInvalid("gateways", "expected at least one address")
        for address in self.gateways:
            as_text(address, "gateways", ADDRESS)
        if len(self.anchor) != DIGEST_BYTES:
            raise DocumentInvalid("anchor", f"expected {DIGEST_BYTES} bytes, got {len(self.anchor)}")

    def to_text(self) -> str:
        """Write it as one word."""
        own: dict[str, Json] = {name: getattr(self, name) for name in self.own}
        body = canonical_json(
            {
                **own,
                "federation": self.federation,
                "gateways": list(self.gateways),
                "anchor": self.anchor.hex(),
                "expires_utc": format_instant(self.expires_utc),
                "ca": _bare(self.ca_pem),
                "cert": _bare(self.cert_pem),
                "key": _bare(self.key_pem),
            }
        )
        return self.prefix + base64.urlsafe_b64encode(_check(body) + body).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a token, wherever a mail program has broken its lines.

        Raises:
            TokenInvalid: it is none, or not whole.
        """
        plain = re.sub(r"\s+", "", text)
        if not plain.startswith(cls.prefix) or len(plain) > MAX_TOKEN_CHARS:
            raise TokenInvalid(f"expected a token, which begins with {cls.prefix}")
        coded = plain.removeprefix(cls.prefix)
        try:
            raw = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
            check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
            if check != _check(body):
                raise TokenInvalid("expected a whole token; this one was cut short or altered")
            fields = Fields(parse_canonical(body))
            own: dict[str, Any] = {name: fields.text(name, pattern) for name, pattern in cls.own.items()}
            found = cls(
                **own,
                federation=fields.text("federation", AGENCY_ID),
                gateways=fields.texts("gateways", ADDRESS),
                anchor=fields.octets("anchor", DIGEST_BYTES),
                expires_utc=fields.instant("expires_utc"),
                ca_pem=_pem(fields, "ca", "CERTIFICATE"),
                cert_pem=_pem(fields, "cert", "CERTIFICATE"),
                key_pem=_pem(fields, "key", "PRIVATE KEY"),
            )
            fields.done()
        except (binascii.Error, DocumentInvalid, NotCanonical):
            raise TokenInvalid("expected a token of this version of elsewhere; it is none") from None
        return found


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Token(_Token):
    """What an agency is handed. Prints nothing secret."""

    prefix: ClassVar[str] = PREFIX
    own: ClassVar[Mapping[str, str | None]] = {"agency_id": AGENCY_ID, "name": None, "sector": SECTOR}

    agency_id: str
    name: str
    sector: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ResearcherToken(_Token):
    """What a researcher is handed. Prints nothing secret."""

    prefix: ClassVar[str] = RESEARCH_PREFIX
    own: ClassVar[Mapping[str, str | None]] = {"researcher": AGENCY_ID, "name": None, "organisation": None}

    researcher: str
    name: str
    organisation: str


def _check(body: bytes) -> bytes:
    """Tell a token that was cut short; whoever would alter one can make this anew."""
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def _bare(pem: bytes) -> str:
    """PEM text without its frame and its line ends."""
    return "".join(pem.decode("ascii").splitlines()[1:-1])


def _pem(fields: Fields, name: str, kind: str) -> bytes:
    """PEM text with its frame."""
    bare = fields.text(name, r"[A-Za-z0-9+/]{1,4096}={0,2}")
    lines = [bare[at : at + 64] for at in range(0, len(bare), 64)]
    return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", ""]).encode()
