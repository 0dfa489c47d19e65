"""Certificates of the hop between node and gateway: a CA of the gateway's own, requests, and what it signs.

Holds:    private keys as PEM text passing through; nothing is kept here.
Sees:     agency ids and host names.
Refuses:  a request whose key is not P-256 or whose name is not the agency admitted.
Source:   RFC 5280 (certificates), RFC 2986 (requests). Keys and serial numbers draw from the operating
          system inside `cryptography`, which cannot be handed a source; the clock is passed in.

TLS protects the hop only: who may attach is decided by the signed roster, and what a lookup says is
sealed and signed between agencies whatever TLS does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.errors import CertificateInvalid

CA_DAYS = 3650
GATEWAY_DAYS = 365
NODE_DAYS = 30
MAX_PEM_BYTES = 16 * 1024

# What the library raises for bytes that are no certificate, and for parts of one that are not what they say.
_UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True, eq=False)
class Authority:
    """The gateway's certificate authority: its key never leaves the gateway's folder and never prints."""

    key_pem: bytes = field(repr=False)
    cert_pem: bytes = field(repr=False)

    def __post_init__(self) -> None:
        check_pair(self.key_pem, self.cert_pem)


def make_key() -> bytes:
    """Make a P-256 key, as unencrypted PKCS#8 PEM; whoever writes it to disk gives the file mode 0600."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def make_authority(name: str, *, now: datetime, days: int = CA_DAYS) -> Authority:
    """Make a certificate authority that can sign end certificates only.

    Args:
        name: 1..64 characters, the federation's name; shown in certificates, trusted by nobody for it.
        now: aware UTC time from which it is valid, backdated by five minutes.
        days: how long it lasts.
    """
    key_pem = make_key()
    key = _read_key(key_pem)
    subject = _name(name)
    builder = (
        _builder(subject, subject, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(key_pem, _pem(builder.sign(key, hashes.SHA256())))


def make_request(key_pem: bytes, agency: str) -> bytes:
    """Ask for a certificate: a PEM request whose common name is the agency id, signed by the key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(agency))
    return builder.sign(_read_key(key_pem), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def check_request(csr_pem: bytes, agency: str) -> None:
    """Return only if the request holds a P-256 key, was signed by it, and names the agency and nothing else.

    Raises:
        CertificateInvalid: sign nothing; ask the agency for a new request.
    """
    request = _read_request(csr_pem)
    if [a.value for a in request.subject] != [agency] or _common_names(request.subject) != [agency]:
        raise CertificateInvalid(f"expected a request whose only name is {agency!r}; it states another")


def sign_node(
    authority: Authority, csr_pem: bytes, *, agency: str, now: datetime, days: int = NODE_DAYS
) -> bytes:
    """Certify a node's key for dialling out as one agency.

    Only the key is taken from the request: its names and extensions could ask for more than a node may be.

    Args:
        authority: signs.
        csr_pem: the node's request.
        agency: becomes the subject's common name, by which the gateway knows the peer.
        now: aware UTC time.
        days: 1..397 days.

    Returns:
        The certificate as PEM, good for a TLS client and for nothing else.

    Raises:
        CertificateInvalid: the request does not hold, or not for this agency. Nothing was signed.
    """
    check_request(csr_pem, agency)
    public = _p256(_read_request(csr_pem).public_key())
    return _sign_leaf(authority, public, agency, _Leaf(now, days, ExtendedKeyUsageOID.CLIENT_AUTH))


def sign_gateway(
    authority: Authority, key_pem: bytes, *, hosts: Sequence[str], now: datetime, days: int = GATEWAY_DAYS
) -> bytes:
    """Certify the gateway's own key for the hosts nodes will dial.

    Args:
        authority: signs.
        key_pem: the gateway's TLS key.
        hosts: names or IP addresses, at least one; the first becomes the common name.
        now: aware UTC time.
        days: how long it lasts.

    Returns:
        The certificate as PEM, good for a TLS server and for nothing else.
    """
    names = [_san(host) for host in dict.fromkeys(hosts)]
    leaf = _Leaf(now, days, ExtendedKeyUsageOID.SERVER_AUTH, x509.SubjectAlternativeName(names))
    return _sign_leaf(authority, _read_key(key_pem).public_key(), hosts[0], leaf)


def check_pair(key_pem: bytes, cert_pem: bytes) -> None:
    """Return only if the certificate is for exactly this key.

    Raises:
        CertificateInvalid: it is for another key, or one of the two is unreadable.
    """
    if _read_key(key_pem).public_key() != _read_certificate(cert_pem).public_key():
        raise CertificateInvalid("expected a certificate for this node's own key; it is for another key")


def check_issued(cert_pem: bytes, ca_pem: bytes, *, agency: str, now: datetime) -> None:
    """Return only if this CA signed the certificate for this agency and it is valid now.

    Raises:
        CertificateInvalid: names which of the three fails.
    """
    certificate, authority = _read_certificate(cert_pem), _read_certificate(ca_pem)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise CertificateInvalid("expected a certificate signed by the federation's CA; it is not") from None
    if _common_names(certificate.subject) != [agency]:
        raise CertificateInvalid(f"expected a certificate for {agency!r}; it names another")
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise CertificateInvalid(
            f"expected a certificate valid at {now:%Y-%m-%d %H:%M} UTC; it is valid from "
            f"{certificate.not_valid_before_utc:%Y-%m-%d} until {certificate.not_valid_after_utc:%Y-%m-%d}"
        )


def check_signed(cert_pem: bytes, ca_pem: bytes) -> None:
    """Return only if this CA signed the certificate; raises CertificateInvalid, saying who did."""
    certificate, authority = _read_certificate(cert_pem), _read_certificate(ca_pem)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        issuer = " ".join(name for name in _common_names(certificate.issuer) if name.isprintable())[:64]
        raise CertificateInvalid(f"it is signed by {issuer or 'somebody'!r}") from None


def check_hosts(cert_pem: bytes, hosts: Sequence[str]) -> None:
    """Return only if a server certificate is good for each of these hosts; raises CertificateInvalid."""
    try:
        found = _read_certificate(cert_pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        raise CertificateInvalid("expected a certificate for hosts; it names none") from None
    if not {_san(host) for host in hosts} <= set(found.value):
        raise CertificateInvalid("expected a certificate for every host in use; it lacks one")


def common_name(cert_pem: bytes) -> str:
    """Read the one common name of a certificate that TLS has already verified.

    Raises:
        CertificateInvalid: unreadable, or not exactly one common name.
    """
    names = _common_names(_read_certificate(cert_pem).subject)
    if len(names) != 1:
        raise CertificateInvalid(f"expected one common name in the certificate, found {len(names)}")
    return names[0]


def certificate_end(cert_pem: bytes) -> datetime:
    """When a certificate runs out, aware UTC."""
    return _read_certificate(cert_pem).not_valid_after_utc


def renewal_due(cert_pem: bytes) -> datetime:
    """When half of a certificate's life is over and it should be renewed, aware UTC."""
    certificate = _read_certificate(cert_pem)
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return start + (end - start) / 2


@dataclass(frozen=True, slots=True)
class _Leaf:
    """What differs between a node's and a gateway's certificate."""

    now: datetime
    days: int
    purpose: x509.ObjectIdentifier
    names: x509.SubjectAlternativeName | None = None


def _sign_leaf(authority: Authority, public: ec.EllipticCurvePublicKey, name: str, leaf: _Leaf) -> bytes:
    """Build and sign an end certificate."""
    issuer = _read_certificate(authority.cert_pem)
    key = _read_key(authority.key_pem)
    builder = (
        _builder(_name(name), issuer.subject, public, leaf.now, leaf.days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        # A node's certificate must not serve: a member could otherwise pose as the gateway to the others.
        .add_extension(x509.ExtendedKeyUsage([leaf.purpose]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    if leaf.names is not None:
        builder = builder.add_extension(leaf.names, critical=False)
    return _pem(builder.sign(key, hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    """Fill in what every certificate of ours has."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    """Signing certificates, or signing handshakes; never both."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _san(host: str) -> x509.GeneralName:
    """An address stays an address: TLS compares names and addresses differently."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common: str) -> x509.Name:
    """A subject of one common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _common_names(name: x509.Name) -> list[str]:
    """Every common name in a subject, as text."""
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _pem(certificate: x509.Certificate) -> bytes:
    """Write a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _read_key(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a P-256 private key; the message quotes nothing of it."""
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateInvalid("expected a P-256 private key in PEM; it is unreadable") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateInvalid("expected a P-256 private key; it is of another kind")
    return key


def _read_certificate(cert_pem: bytes) -> x509.Certificate:
    """Read one PEM certificate, and at once every part of it that is parsed only when it is asked for."""
    try:
        if len(cert_pem) > MAX_PEM_BYTES:
            raise ValueError
        found = x509.load_pem_x509_certificate(cert_pem)
        _ = found.extensions, found.subject, found.issuer, found.not_valid_after_utc, found.public_key()
        return found
    except _UNREADABLE:
        raise CertificateInvalid(f"expected one PEM certificate of at most {MAX_PEM_BYTES} bytes") from None


def _read_request(csr_pem: bytes) -> x509.CertificateSigningRequest:
    """Read a request that its own key has signed."""
    try:
        if len(csr_pem) > MAX_PEM_BYTES:
            raise ValueError
        request = x509.load_pem_x509_csr(csr_pem)
        _ = request.extensions, request.subject, request.public_key()
        valid = request.is_signature_valid
    except _UNREADABLE:
        raise CertificateInvalid(f"expected one PEM request of at most {MAX_PEM_BYTES} bytes") from None
    if not valid:
        raise CertificateInvalid("expected a request signed by the key it names; its signature fails")
    _p256(request.public_key())
    return request


def _p256(public: object) -> ec.EllipticCurvePublicKey:
    """Refuse every kind of key but the one kind in use."""
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise CertificateInvalid("expected a P-256 key in the request; it is of another kind")
    return public
