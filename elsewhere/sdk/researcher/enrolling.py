"""A researcher's way in: keys made here, a certificate for the hop, and the request for the stewards.

Holds:    both private keys while they are made; neither leaves the folder.
Refuses:  an admission for another federation than the token names, another researcher or another key; a
          refused step can be taken again.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from elsewhere.canonical import canonical_json
from elsewhere.enrolment import Admission
from elsewhere.errors import EnrolmentRefused, GatewayUnreachable
from elsewhere.fields import format_instant
from elsewhere.invitation import ResearcherToken, TokenExpired
from elsewhere.keyfiles import destroy_secret, read_secret, replace_file, write_secret
from elsewhere.random import RandomBytes
from elsewhere.renewal import sign_renewal
from elsewhere.sdk.researcher.calls import CALL_S, GatewayRefused, Gateways
from elsewhere.sdk.researcher.folder import (
    ABOUT,
    SIGNING_KEY,
    About,
    make_signing_key,
    read_about,
    read_pair,
    read_signing_key,
    write_about,
    write_pair,
)
from elsewhere.sdk.researcher.trust import keep_documents, open_documents, read_documents
from elsewhere.signing import SigningKey
from elsewhere.wire.channel import client_credentials
from elsewhere.wire.tls import check_issued, check_pair, make_key, make_request, renewal_due
from elsewhere.wire.v1 import enrolment_pb2, enrolment_pb2_grpc

_ASKED_KEY: Final = Path("keys") / "tls-asked.key"
_ASKED: Final = "certificate-request.pem"


def enrol(folder: Path, text: str, *, passphrase: str, now: datetime, random: RandomBytes) -> About:
    """Make the keys, or go on with those of this folder; get a certificate; verify the federation.

    Args:
        folder: a new one; one in which this was begun; or the same researcher's, for another certificate.
        text: the token.
        passphrase: for a new signing key; empty for none.
        now: aware UTC time.
        random: returns n random bytes.

    Raises:
        TokenInvalid, TokenExpired, KeyLocked: nothing was asked.
        GatewayUnreachable, GatewayRefused: no certificate came; the same may be run again.
        EnrolmentRefused, CertificateInvalid: what came is not what the token names. Nothing of it was taken.
    """
    token = ResearcherToken.from_text(text)
    if now >= token.expires_utc:
        raise TokenExpired(f"the token was good until {format_instant(token.expires_utc)}; ask for another")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(folder, 0o700)
    (folder / "keys").mkdir(mode=0o700, exist_ok=True)
    if (folder / ABOUT).exists():
        _check_same(read_about(folder), token)
        public = read_about(folder).key
    elif (folder / SIGNING_KEY).exists():  # begun, and broken off at once
        public = read_signing_key(folder, passphrase).public
    else:
        public = make_signing_key(folder, passphrase=passphrase, random=random).public
    about = About(token.researcher, token.name, token.organisation, token.federation, public, token.gateways)
    write_about(folder, about)
    key_pem, csr_pem = _asked(folder, _common_name(about))
    shown = client_credentials(ca_pem=token.ca_pem, key_pem=token.key_pem, cert_pem=token.cert_pem)
    request = enrolment_pb2.JoinResearcherRequest(csr_pem=csr_pem)
    answer = Gateways(token.gateways, shown).call(
        lambda channel: enrolment_pb2_grpc.EnrolmentServiceStub(channel).JoinResearcher(
            request, timeout=CALL_S
        )
    )
    return _take(folder, token, key_pem, Admission.from_bytes(answer.admission), now=now)


def connect(folder: Path, key: SigningKey, *, now: datetime) -> Gateways:
    """The gateways, with a certificate that is renewed first if half of its life is over.

    Args:
        folder: the researcher's.
        key: signs queries, and the wish for a certificate.
        now: aware UTC time.

    Raises:
        NotEnrolled, KeyFileExposed: no usable certificate.
        CertificateInvalid: the new one is not what was asked for.
    """
    about, (key_pem, cert_pem) = read_about(folder), read_pair(folder)
    ca_pem = read_documents(folder).anchor.tls_ca_pem
    held = Gateways(about.gateways, client_credentials(ca_pem=ca_pem, key_pem=key_pem, cert_pem=cert_pem))
    if now < renewal_due(cert_pem):
        return held
    next_key = make_key()
    renewal = sign_renewal(key, make_request(next_key, _common_name(about)), now)
    request = enrolment_pb2.RenewRequest(renewal=renewal)
    try:
        answer = held.call(
            lambda channel: enrolment_pb2_grpc.EnrolmentServiceStub(channel).Renew(request, timeout=CALL_S)
        )
    except (GatewayUnreachable, GatewayRefused):
        return held  # good for as long again; whoever asks with it is told what is wrong
    made = answer.certificate_pem
    check_issued(made, ca_pem, agency=_common_name(about), now=now)
    check_pair(next_key, made)
    write_pair(folder, next_key, made)
    return Gateways(about.gateways, client_credentials(ca_pem=ca_pem, key_pem=next_key, cert_pem=made))


def _take(
    folder: Path, token: ResearcherToken, key_pem: bytes, admission: Admission, *, now: datetime
) -> About:
    """Believe an admission of the federation that the token names."""
    about, anchor = read_about(folder), admission.anchor
    if hashlib.sha256(canonical_json(anchor.to_json())).digest() != token.anchor:
        raise EnrolmentRefused(
            f"expected the federation {token.federation} as the token names it; what admits is another"
        )
    if admission.agency_id != about.researcher:
        raise EnrolmentRefused("expected an admission of this researcher; it is of another")
    cert_pem = admission.certificate_pem
    check_pair(key_pem, cert_pem)
    check_issued(cert_pem, anchor.tls_ca_pem, agency=_common_name(about), now=now)
    documents = open_documents(anchor, admission.chain, admission.roster, admission.agreement)
    documents.roster.check_current(now)
    if (folder / "trust").exists():
        agreement = documents.agreement_envelope
        documents = read_documents(folder).follow(admission.roster, admission.chain, agreement)
    enrolled = replace(about, gateways=admission.gateways)
    write_pair(folder, key_pem, cert_pem)
    keep_documents(folder, documents)
    write_about(folder, enrolled)
    destroy_secret(folder / _ASKED_KEY)
    (folder / _ASKED).unlink(missing_ok=True)
    return enrolled


def _asked(folder: Path, name: str) -> tuple[bytes, bytes]:
    """A TLS key and the request for it: the same ones again if an answer was lost."""
    if (folder / _ASKED).exists():
        return read_secret(folder / _ASKED_KEY), (folder / _ASKED).read_bytes()
    destroy_secret(folder / _ASKED_KEY)
    key_pem = make_key()
    write_secret(folder / _ASKED_KEY, key_pem)
    replace_file(folder / _ASKED, make_request(key_pem, name))
    return key_pem, (folder / _ASKED).read_bytes()


def _check_same(held: About, token: ResearcherToken) -> None:
    if (held.researcher, held.federation) != (token.researcher, token.federation):
        raise EnrolmentRefused(
            f"expected a token for {held.researcher} of {held.federation}; take another folder for this one"
        )


def _common_name(about: About) -> str:
    return f"researcher:{about.researcher}"
