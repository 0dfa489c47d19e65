"""Certificates of the hop: who may be what, and what the CA refuses to sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from elsewhere.errors import CertificateInvalid
from elsewhere.wire import tls

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> tls.Authority:
    return tls.make_authority("northshire", now=NOW)


def test_a_node_certificate_carries_the_agency_and_lasts_the_days_given(authority: tls.Authority) -> None:
    key = tls.make_key()

    cert = tls.sign_node(authority, tls.make_request(key, "police"), agency="police", now=NOW, days=30)

    tls.check_pair(key, cert)
    tls.check_issued(cert, authority.cert_pem, agency="police", now=NOW + timedelta(days=29))
    assert tls.common_name(cert) == "police"
    assert NOW + timedelta(days=14) < tls.renewal_due(cert) < NOW + timedelta(days=16)


@pytest.mark.parametrize("when", [NOW - timedelta(hours=1), NOW + timedelta(days=30)])
def test_a_certificate_outside_its_days_is_refused(authority: tls.Authority, when: datetime) -> None:
    cert = tls.sign_node(authority, tls.make_request(tls.make_key(), "police"), agency="police", now=NOW)

    with pytest.raises(CertificateInvalid, match="valid"):
        tls.check_issued(cert, authority.cert_pem, agency="police", now=when)


def test_a_certificate_for_another_agency_or_ca_or_key_is_refused(authority: tls.Authority) -> None:
    cert = tls.sign_node(authority, tls.make_request(tls.make_key(), "police"), agency="police", now=NOW)
    other = tls.make_authority("northshire", now=NOW)

    with pytest.raises(CertificateInvalid, match="names another"):
        tls.check_issued(cert, authority.cert_pem, agency="schools", now=NOW)
    with pytest.raises(CertificateInvalid, match="signed by the federation's CA"):
        tls.check_issued(cert, other.cert_pem, agency="police", now=NOW)
    with pytest.raises(CertificateInvalid, match="own key"):
        tls.check_pair(tls.make_key(), cert)


def test_a_request_for_another_name_is_refused(authority: tls.Authority) -> None:
    with pytest.raises(CertificateInvalid):
        tls.sign_node(authority, tls.make_request(tls.make_key(), "schools"), agency="police", now=NOW)


def test_a_request_of_another_kind_of_key_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "police")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())

    with pytest.raises(CertificateInvalid, match="P-256"):
        tls.check_request(request.public_bytes(serialization.Encoding.PEM), "police")


@pytest.mark.parametrize("junk", [b"", b"not PEM", b"x" * 20_000])
def test_unreadable_material_is_refused(junk: bytes) -> None:
    with pytest.raises(CertificateInvalid):
        tls.check_request(junk, "police")
    with pytest.raises(CertificateInvalid):
        tls.common_name(junk)
    with pytest.raises(CertificateInvalid):
        tls.make_request(junk, "police")


def test_extensions_asked_for_in_a_request_are_not_granted(authority: tls.Authority) -> None:
    key = serialization.load_pem_private_key(tls.make_key(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "police")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )

    pem = tls.sign_node(authority, request.public_bytes(serialization.Encoding.PEM), agency="police", now=NOW)

    found = x509.load_pem_x509_certificate(pem)
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    with pytest.raises(x509.ExtensionNotFound):
        found.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_the_gateway_is_certified_for_addresses_and_names(authority: tls.Authority) -> None:
    key = tls.make_key()

    cert = tls.sign_gateway(authority, key, hosts=["127.0.0.1", "localhost", "127.0.0.1"], now=NOW)

    names = x509.load_pem_x509_certificate(cert).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(a) for a in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]


def test_keys_do_not_print(authority: tls.Authority) -> None:
    assert "PRIVATE" not in repr(authority)
