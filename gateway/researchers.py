"""Invitations of researchers: whom each is for, and which TLS key came in on it.

Holds:    of each invitation a digest of its certificate, and of the one request that it was used with.
Sees:     ids, names and certificate requests. A researcher's signing key never comes here: the agreement
          lists it.
Refuses:  an invitation that this folder did not make, one whose day is over, a second key on one.

A certificate opens the hop alone. What a researcher may ask is for the agreement, and each query is signed
with the key that it lists.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.enrolment import Admission
from elsewhere.fields import Fields, as_text, format_instant
from elsewhere.invitation import (
    DIGEST_BYTES,
    RESEARCH_NAME,
    ResearcherToken,
    TokenExpired,
    TokenUnknown,
    TokenUsed,
)
from elsewhere.keyfiles import replace_file
from elsewhere.random import RandomBytes
from elsewhere.roster import AGENCY_ID
from elsewhere.wire.tls import make_key, make_request, sign_node
from gateway.config import load_config
from gateway.folder import alone, read_anchor, read_authority
from gateway.inforce import read_agreement, read_succession
from gateway.invitations import USABLE, anchor_digest

_KNOWN_DAYS: Final = 2  # a day longer than it is good, so that who is late is told so
_NONE: Final = bytes(DIGEST_BYTES)
_FOLDER: Final = "researchers"


@dataclass(frozen=True, slots=True)
class InvitedResearcher:
    """Whom an invitation is for."""

    id: str
    name: str
    organisation: str


@dataclass(frozen=True, slots=True)
class _Invitation:
    """One invitation as this gateway remembers it."""

    name: str  # in its certificate
    researcher: str
    certificate: bytes  # SHA-256 of it, 32 bytes
    expires_utc: datetime
    request: bytes = _NONE  # SHA-256 of the request that came in; zeros: none yet

    def to_bytes(self) -> bytes:
        """Write its file."""
        return canonical_json(
            {
                "name": self.name,
                "researcher": self.researcher,
                "certificate": self.certificate.hex(),
                "expires_utc": format_instant(self.expires_utc),
                "request": self.request.hex(),
            }
        )

    @classmethod
    def from_bytes(cls, file: bytes) -> _Invitation:
        """Read its file; raises DocumentInvalid, NotCanonical if it was changed."""
        fields = Fields(parse_canonical(file))
        found = cls(
            name=fields.text("name", RESEARCH_NAME),
            researcher=fields.text("researcher", AGENCY_ID),
            certificate=fields.octets("certificate", DIGEST_BYTES),
            expires_utc=fields.instant("expires_utc"),
            request=fields.octets("request", DIGEST_BYTES),
        )
        fields.done()
        return found


def invite_researcher(
    directory: Path, who: InvitedResearcher, *, now: datetime, random: RandomBytes
) -> ResearcherToken:
    """Make an invitation; the token is given once and kept nowhere.

    Args:
        directory: the gateway's folder, with the CA's key.
        who: the researcher, new or one that needs a certificate again.
        now: aware UTC time.
        random: returns n random bytes.

    Raises:
        KeyFileMissing: the CA's key is not here.
        DocumentInvalid: an impossible id or name. Nothing was made.
    """
    config, anchor, authority = load_config(directory), read_anchor(directory), read_authority(directory)
    name, key_pem = f"research-invitation:{random(16).hex()}", make_key()
    cert_pem = sign_node(authority, make_request(key_pem, name), agency=name, now=now, days=_KNOWN_DAYS)
    token = ResearcherToken(
        federation=anchor.federation_id,
        researcher=who.id,
        name=who.name,
        organisation=who.organisation,
        gateways=config.own_addresses,  # others do not know of it
        anchor=anchor_digest(directory),
        expires_utc=now.replace(microsecond=0) + USABLE,
        ca_pem=anchor.tls_ca_pem,
        cert_pem=cert_pem,
        key_pem=key_pem,
    )
    with alone(directory):
        digest = hashlib.sha256(cert_pem).digest()
        _write(directory, _Invitation(name, who.id, digest, token.expires_utc))
    return token


def certify_researcher(
    directory: Path, caller: tuple[str, bytes], csr_pem: bytes, *, now: datetime
) -> Admission:
    """Certify the key of an invited researcher, once for one key.

    Args:
        directory: the gateway's folder, with the CA's key.
        caller: the name in the certificate that TLS has verified, and the certificate.
        csr_pem: asks for a certificate under `researcher:` and the id invited.
        now: aware UTC time.

    Raises:
        TokenUnknown: not an invitation of this gateway for a researcher.
        TokenUsed: another request came in on it.
        TokenExpired: its day is over.
        CertificateInvalid: the request does not hold, or not for this researcher.
        KeyFileMissing: the CA's key is not here.
    """
    digest = hashlib.sha256(csr_pem).digest()
    with alone(directory):
        held = _find(directory, *caller)
        if now >= held.expires_utc:
            raise TokenExpired(f"expected the token by {format_instant(held.expires_utc)}")
        if held.request not in (_NONE, digest):
            raise TokenUsed(f"the token for {held.researcher} was used with another key")
        authority = read_authority(directory)
        certificate = sign_node(authority, csr_pem, agency=f"researcher:{held.researcher}", now=now)
        _write(directory, replace(held, request=digest))
        succession = read_succession(directory)
        agreed = read_agreement(directory, succession.roster)
        return Admission(
            anchor=read_anchor(directory),
            agency_id=held.researcher,
            gateways=load_config(directory).dialled,
            certificate_pem=certificate,
            chain=succession.chain,
            roster=succession.envelope,
            agreement=agreed[0] if agreed is not None else None,
        )


def _find(directory: Path, name: str, cert_pem: bytes) -> _Invitation:
    """Find the invitation of a caller that TLS has verified; raises TokenUnknown."""
    unknown = TokenUnknown("expected an invitation of this gateway for a researcher; there is none such")
    if not name.startswith("research-invitation:"):
        raise unknown
    try:
        found = _Invitation.from_bytes(_path(directory, name).read_bytes())
    except FileNotFoundError:
        raise unknown from None
    if not hmac.compare_digest(found.certificate, hashlib.sha256(cert_pem).digest()):
        raise unknown
    return found


def _path(directory: Path, name: str) -> Path:
    id = as_text(name, "name", RESEARCH_NAME).removeprefix("research-invitation:")
    return directory / _FOLDER / f"{id}.json"


def _write(directory: Path, held: _Invitation) -> None:
    (directory / _FOLDER).mkdir(mode=0o700, exist_ok=True)
    replace_file(_path(directory, held.name), held.to_bytes())
