"""The two files that bring an agency in: what it asks for, and what it is handed back.

Sees:     public keys, certificates, names and duty numbers; no private key is ever in either file.
Refuses:  a request not signed by the key it names (proof that the agency holds it); unknown fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from elsewhere.anchor import Federation
from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import DocumentInvalid, EnrolmentRefused, NotCanonical, SignatureInvalid
from elsewhere.fields import Fields, as_text
from elsewhere.roster import AGENCY_ID, SECTOR
from elsewhere.signing import KEY_BYTES, MAX_ENVELOPE_BYTES, SigningKey, open_document, sign_document
from elsewhere.spoken import spoken
from elsewhere.succession import MAX_CHAIN

REQUEST_TYPE: Final = "application/vnd.elsewhere.join-request.v1+json"
ADDRESS: Final = r"[A-Za-z0-9.-]{1,253}:\d{1,5}"
MAX_FILE_BYTES: Final = 2 * MAX_ENVELOPE_BYTES + 256 * 1024
MAX_CONTACT_BYTES: Final = 100


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """An agency's wish to join: who it is, whom to call there, and its two public keys."""

    agency_id: str
    name: str
    sector: str
    contact_in_hours: str
    contact_out_of_hours: str
    signing_key: bytes  # 32 bytes, Ed25519: becomes the agency's key in the roster
    csr_pem: bytes  # asks for the TLS certificate of the node

    def __post_init__(self) -> None:
        as_text(self.agency_id, "agency_id", AGENCY_ID)
        as_text(self.name, "name")
        as_text(self.sector, "sector", SECTOR)
        for key in ("contact_in_hours", "contact_out_of_hours"):
            if len(as_text(getattr(self, key), key).encode()) > MAX_CONTACT_BYTES:
                raise DocumentInvalid(key, f"expected at most {MAX_CONTACT_BYTES} bytes")
        if len(self.signing_key) != KEY_BYTES:
            raise DocumentInvalid("signing_key", f"expected {KEY_BYTES} bytes, got {len(self.signing_key)}")
        _check_pem(self.csr_pem, "csr_pem", "CERTIFICATE REQUEST")

    @property
    def fingerprint(self) -> str:
        """The agency's fingerprint, to be compared by voice before it is let in."""
        return spoken("member", self.signing_key)


def sign_request(key: SigningKey, request: JoinRequest) -> bytes:
    """Write a request file, signed with the very key it names.

    Raises:
        EnrolmentRefused: the key is another one.
    """
    if key.public != request.signing_key:
        raise EnrolmentRefused("expected the request to name the key that signs it")
    payload: dict[str, Json] = {
        "agency_id": request.agency_id,
        "name": request.name,
        "sector": request.sector,
        "contact_in_hours": request.contact_in_hours,
        "contact_out_of_hours": request.contact_out_of_hours,
        "signing_key": request.signing_key.hex(),
        "csr_pem": request.csr_pem.decode("ascii"),
    }
    envelope = sign_document([key], REQUEST_TYPE, payload)
    return canonical_json({"signing_key": key.public.hex(), "envelope": envelope.decode("utf-8")}) + b"\n"


def open_request(file: bytes) -> JoinRequest:
    """Read a request file and check that whoever made it holds the key in it.

    Raises:
        EnrolmentRefused: not a request, or signed by another key. Ask the agency for a new one.
    """
    try:
        outer = _read(file)
        public = outer.octets("signing_key", KEY_BYTES)
        envelope = _document(outer, "envelope")
        outer.done()
        fields = Fields(open_document(envelope, REQUEST_TYPE, [public]))
        request = JoinRequest(
            agency_id=fields.text("agency_id", AGENCY_ID),
            name=fields.text("name"),
            sector=fields.text("sector", SECTOR),
            contact_in_hours=fields.text("contact_in_hours"),
            contact_out_of_hours=fields.text("contact_out_of_hours"),
            signing_key=fields.octets("signing_key", KEY_BYTES),
            csr_pem=_pem(fields, "csr_pem"),
        )
        fields.done()
    except SignatureInvalid:
        raise EnrolmentRefused("expected a request signed with the key it names; the proof fails") from None
    except (DocumentInvalid, NotCanonical) as err:
        raise EnrolmentRefused(f"expected a join request: {err}") from None
    if request.signing_key != public:
        # Otherwise someone could sign another agency's key into the roster under a key of their own.
        raise EnrolmentRefused("expected a request signed with the key it names; it names another")
    return request


@dataclass(frozen=True, slots=True)
class Admission:
    """What an admitted agency is handed, in person or by a way it trusts."""

    anchor: Federation
    agency_id: str
    gateways: tuple[str, ...]  # host:port, at least one
    certificate_pem: bytes  # for the TLS key of the request
    chain: tuple[bytes, ...] = field(repr=False)  # the first roster and each that changed the stewards
    roster: bytes = field(repr=False)  # DSSE envelope
    agreement: bytes | None = field(repr=False)  # DSSE envelope; None while there are not yet two parties

    def __post_init__(self) -> None:
        as_text(self.agency_id, "agency_id", AGENCY_ID)
        if not self.gateways:
            raise DocumentInvalid("gateways", "expected at least one address")
        if not self.chain:
            raise DocumentInvalid("chain", "expected the first roster")
        for address in self.gateways:
            as_text(address, "gateways", ADDRESS)
        _check_pem(self.certificate_pem, "certificate_pem", "CERTIFICATE")

    def to_bytes(self) -> bytes:
        """Write the admission file."""
        return (
            canonical_json(
                {
                    "federation": self.anchor.to_json(),
                    "agency_id": self.agency_id,
                    "gateways": list(self.gateways),
                    "certificate_pem": self.certificate_pem.decode("ascii"),
                    "chain": [link.decode("utf-8") for link in self.chain],
                    "roster": self.roster.decode("utf-8"),
                    "agreement": None if self.agreement is None else self.agreement.decode("utf-8"),
                }
            )
            + b"\n"
        )

    @classmethod
    def from_bytes(cls, file: bytes) -> Admission:
        """Read an admission file; what it contains is yet to be verified against the node's own keys.

        Raises:
            EnrolmentRefused: not an admission. Ask the gateway's operator for another.
        """
        try:
            fields = _read(file)
            found = cls(
                anchor=Federation.from_json(fields.take("federation")),
                agency_id=fields.text("agency_id", AGENCY_ID),
                gateways=fields.texts("gateways", ADDRESS),
                certificate_pem=_pem(fields, "certificate_pem"),
                chain=_chain(fields),
                roster=_document(fields, "roster"),
                agreement=_optional(fields, "agreement"),
            )
            fields.done()
        except (DocumentInvalid, NotCanonical) as err:
            raise EnrolmentRefused(f"expected an admission: {err}") from None
        return found


def _read(file: bytes) -> Fields:
    """Read a file of one canonical JSON object, with or without the newline that ends it."""
    if len(file) > MAX_FILE_BYTES:
        raise DocumentInvalid("file", f"expected at most {MAX_FILE_BYTES} bytes, got {len(file)}")
    return Fields(parse_canonical(file.removesuffix(b"\n")))


def _document(fields: Fields, name: str) -> bytes:
    """Take an envelope that travels as text."""
    value = fields.take(name)
    if not isinstance(value, str) or len(value) > MAX_ENVELOPE_BYTES:
        raise DocumentInvalid(name, "expected a signed document")
    return value.encode("utf-8")


def _chain(fields: Fields) -> tuple[bytes, ...]:
    """Take the rosters that lead to the one in force."""
    links = fields.take("chain")
    if not isinstance(links, list) or not 1 <= len(links) <= MAX_CHAIN:
        raise DocumentInvalid("chain", f"expected 1 to {MAX_CHAIN} signed rosters")
    return tuple(_document(Fields({"chain": link}), "chain") for link in links)


def _optional(fields: Fields, name: str) -> bytes | None:
    """Take an envelope or null."""
    value = fields.take(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_ENVELOPE_BYTES:
        raise DocumentInvalid(name, "expected a signed document or null")
    return value.encode("utf-8")


def _pem(fields: Fields, name: str) -> bytes:
    """Take PEM text, which has several lines and so is no line of text."""
    value = fields.take(name)
    if not isinstance(value, str) or not value.isascii():
        raise DocumentInvalid(name, "expected PEM text")
    return value.encode("ascii")


def _check_pem(value: bytes, name: str, kind: str) -> None:
    """Check the frame of PEM text; whoever uses it reads what is inside."""
    if not value.startswith(f"-----BEGIN {kind}-----\n".encode()):
        raise DocumentInvalid(name, f"expected PEM text of a {kind.lower()}")
