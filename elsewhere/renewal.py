"""A wish for the next TLS certificate, signed with the key that makes its author who it is.

Sees:     a request for a certificate, and when it was made.
Refuses:  the wish of whoever holds a TLS pair and no more: a thief of it would else renew it for ever. One
          not made now, give or take CLOCK_TOLERANCE, so that none is kept for another day.
Source:   docs/protocol.md, "Certificates".
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.errors import CertificateInvalid, DocumentInvalid
from elsewhere.fields import Fields, format_instant
from elsewhere.signing import SigningKey, open_document, sign_document

RENEWAL_TYPE: Final = "application/vnd.elsewhere.renewal.v1+json"
MAX_RENEWAL_BYTES: Final = 32 * 1024


def sign_renewal(key: SigningKey, csr_pem: bytes, now: datetime) -> bytes:
    """Ask for a certificate.

    Args:
        key: a member's, as the roster lists it; a researcher's, as the agreement does.
        csr_pem: PKCS #10 request, PEM, under the author's name.
        now: aware UTC time.

    Returns: a DSSE envelope.
    """
    payload = {"csr_pem": csr_pem.decode("ascii"), "made_utc": format_instant(now.replace(microsecond=0))}
    return sign_document([key], RENEWAL_TYPE, {**payload})


def open_renewal(envelope: bytes, public: bytes, now: datetime) -> bytes:
    """Read a wish; whose name its request has is for whoever certifies it to check.

    Args:
        envelope: as received.
        public: the author's key, 32 bytes.
        now: aware UTC time.

    Returns: the request, PEM.

    Raises:
        SignatureInvalid: another key has signed it.
        NotCanonical, DocumentInvalid: it is no such document.
        CertificateInvalid: it was not made now.
    """
    fields = Fields(open_document(envelope, RENEWAL_TYPE, [public], limit=MAX_RENEWAL_BYTES))
    csr_pem, made = fields.take("csr_pem"), fields.instant("made_utc")
    fields.done()
    if not isinstance(csr_pem, str) or not csr_pem.isascii():
        raise DocumentInvalid("csr_pem", "expected PEM text")
    if abs(now - made) > CLOCK_TOLERANCE:
        raise CertificateInvalid("expected a renewal that was signed within five minutes; look at the clocks")
    return csr_pem.encode("ascii")
