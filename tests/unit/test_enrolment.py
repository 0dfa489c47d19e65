"""The two files of joining: proof of possession, strict reading, and nothing secret inside."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from elsewhere.anchor import Federation
from elsewhere.canonical import Json, canonical_json
from elsewhere.enrolment import Admission, JoinRequest, open_request, sign_request
from elsewhere.errors import DocumentInvalid, EnrolmentRefused
from elsewhere.signing import SigningKey
from elsewhere.wire.tls import make_authority, make_key, make_request, sign_node

KEY = SigningKey.from_seed(b"k" * 32)
OTHER = SigningKey.from_seed(b"o" * 32)
TLS = make_key()
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def request(**changes: object) -> JoinRequest:
    base = JoinRequest(
        agency_id="police",
        name="Northshire Police",
        sector="POLICE",
        contact_in_hours="0000 000 001",
        contact_out_of_hours="0000 000 002",
        signing_key=KEY.public,
        csr_pem=make_request(TLS, "police"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def admission() -> Admission:
    authority = make_authority("northshire", now=NOW)
    return Admission(
        anchor=Federation("northshire", bytes(32), authority.cert_pem),
        agency_id="police",
        gateways=("127.0.0.1:7443",),
        certificate_pem=sign_node(authority, make_request(TLS, "police"), agency="police", now=NOW),
        chain=(b'{"roster":1}', b'{"roster":4}'),
        roster=b'{"roster":6}',
        agreement=None,
    )


def test_a_request_is_read_back_and_holds_no_private_key() -> None:
    file = sign_request(KEY, request())

    assert open_request(file) == request(csr_pem=open_request(file).csr_pem)
    assert b"PRIVATE" not in file
    assert KEY.seed.hex().encode() not in file


def test_a_request_cannot_be_signed_with_a_key_it_does_not_name() -> None:
    with pytest.raises(EnrolmentRefused):
        sign_request(OTHER, request())


def test_a_request_that_claims_a_key_it_does_not_hold_is_refused() -> None:
    honest = json.loads(sign_request(KEY, request()))
    forged = json.loads(sign_request(OTHER, request(signing_key=OTHER.public)))

    for outer in (
        {"signing_key": OTHER.public.hex(), "envelope": honest["envelope"]},
        {"signing_key": KEY.public.hex(), "envelope": forged["envelope"]},
    ):
        with pytest.raises(EnrolmentRefused, match="proof"):
            open_request(canonical_json(outer))


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"{}",
        b"[]",
        b'{"signing_key":"00"}',
        canonical_json({"signing_key": KEY.public.hex(), "envelope": "{}"}),
        canonical_json({"signing_key": KEY.public.hex(), "envelope": 1}),
        b" " + sign_request(KEY, request()),
        b"x" * (9 * 1024 * 1024),
    ],
)
def test_a_file_that_is_no_request_is_refused(file: bytes) -> None:
    with pytest.raises(EnrolmentRefused):
        open_request(file)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agency_id", "Police"),
        ("agency_id", "../police"),
        ("name", ""),
        ("name", "two\nlines"),
        ("sector", "police"),
        ("contact_in_hours", "0" * 101),
        ("contact_out_of_hours", ""),
        ("signing_key", b"short"),
        ("csr_pem", b"not PEM"),
    ],
)
def test_a_request_with_an_impossible_field_cannot_be_made(field: str, value: object) -> None:
    with pytest.raises(DocumentInvalid) as refusal:
        request(**{field: value})

    assert refusal.value.key == field


def test_an_admission_is_read_back() -> None:
    with_agreement = replace(admission(), agreement=b'{"agreement":1}')

    for made in (with_agreement, replace(with_agreement, agreement=None)):
        assert Admission.from_bytes(made.to_bytes()) == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gateways", ()),
        ("chain", ()),
        ("gateways", ("no-port",)),
        ("agency_id", "Police"),
        ("certificate_pem", b""),
    ],
)
def test_an_admission_with_an_impossible_field_cannot_be_made(field: str, value: object) -> None:
    with pytest.raises(DocumentInvalid):
        replace(admission(), **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"roster": None},
        {"agreement": 5},
        {"gateways": []},
        {"chain": []},
        {"chain": [1]},
        {"chain": "x"},
    ],
)
def test_an_admission_that_says_more_or_less_is_refused(change: dict[str, Json]) -> None:
    file = canonical_json({**json.loads(admission().to_bytes()), **change})

    with pytest.raises(EnrolmentRefused):
        Admission.from_bytes(file)
