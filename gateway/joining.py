"""The enrolment service: who was invited comes in, and the next TLS certificates of members and researchers.

Holds:    the CA's key while a certificate is signed.
Sees:     requests to join: public keys, names, duty numbers.
Refuses:  whoever holds neither an invitation nor a certificate; a certificate for a member that is not
          active or a researcher whom the agreement does not list, that its own key has not signed for, or
          under another name than the caller's own; more calls than anybody has use for.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path
from typing import NoReturn

import structlog

from elsewhere.clock import to_ms
from elsewhere.enrolment import open_request
from elsewhere.errors import ElsewhereError, KeyFileMissing, StoreUnavailable
from elsewhere.invitation import NAME
from elsewhere.pace import Pace
from elsewhere.renewal import open_renewal
from elsewhere.research.errors import ResearcherRefused
from elsewhere.wire.channel import RESEARCHER, agency_of
from elsewhere.wire.status import CertificatesTaken, NoAuthority, to_status
from elsewhere.wire.tls import sign_node
from elsewhere.wire.v1 import enrolment_pb2, enrolment_pb2_grpc
from gateway.directory import Directory
from gateway.enrolment import admit
from gateway.folder import read_authority
from gateway.invitations import find, hand_in, request_of
from gateway.researchers import certify_researcher
from gateway.timing import Timing

# Certificates of one agency: at its half-life, on an order, and again when an answer was lost.
RENEWALS, RENEW_EVERY_S = 16, 600.0
# Calls of one invitation or agency: whoever waits to be let in asks every few seconds.
CALLS, CALL_EVERY_S = 64, 2.0

_log = structlog.get_logger("elsewhere.gateway")


class EnrolmentService(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Serves `Join`, `Standing` and `Renew`."""

    def __init__(self, directory: Directory, folder: Path, timing: Timing) -> None:
        self._directory, self._folder, self._timing = directory, folder, timing
        self._pace, self._calls = Pace(RENEWALS, RENEW_EVERY_S), Pace(CALLS, CALL_EVERY_S)

    async def Join(  # noqa: N802 - the name in enrolment.proto
        self, request: enrolment_pb2.JoinRequest, context: enrolment_pb2_grpc._ServicerContext
    ) -> enrolment_pb2.JoinResponse:
        """Keep the request of an invited agency for the operator."""
        try:
            held = await asyncio.to_thread(find, self._folder, *self._caller(context))
            now, roster = self._timing.utc_now(), self._directory.roster
            await asyncio.to_thread(hand_in, self._folder, held, request.request, roster, now=now)
        except (ElsewhereError, OSError) as err:
            await self._refuse("request to join", err, context)
        _log.info("request to join", agency=held.agency_id)
        return enrolment_pb2.JoinResponse()

    async def JoinResearcher(  # noqa: N802
        self, request: enrolment_pb2.JoinResearcherRequest, context: enrolment_pb2_grpc._ServicerContext
    ) -> enrolment_pb2.JoinResearcherResponse:
        """Certify the TLS key of an invited researcher, and hand over what is in force."""
        try:
            name, cert_pem = self._caller(context)
            certify = partial(certify_researcher, self._folder, (name, cert_pem), request.csr_pem)
            made = await asyncio.to_thread(certify, now=self._timing.utc_now())
        except KeyFileMissing:
            await self._refuse("researcher", _no_authority(), context)
        except (ElsewhereError, OSError) as err:
            await self._refuse("researcher", err, context)
        _log.info("researcher joined", researcher=made.agency_id)
        return enrolment_pb2.JoinResearcherResponse(admission=made.to_bytes())

    async def Standing(  # noqa: N802
        self, request: enrolment_pb2.StandingRequest, context: enrolment_pb2_grpc._ServicerContext
    ) -> enrolment_pb2.StandingResponse:
        """Tell an invited agency what has become of its request, and a member what it is."""
        try:
            name, cert_pem = self._caller(context)
            if re.fullmatch(NAME, name):
                found = await asyncio.to_thread(self._standing_of, name, cert_pem)
            else:
                member = self._directory.roster.member(name)
                found = enrolment_pb2.StandingResponse(state=member.state if member else "unknown")
        except (ElsewhereError, OSError) as err:
            await self._refuse("standing", err, context)
        found.sent_ms = to_ms(self._timing.utc_now())
        return found

    def _caller(self, context: enrolment_pb2_grpc._ServicerContext) -> tuple[str, bytes]:
        """The name in the caller's certificate, and the certificate, unless it calls all the time."""
        name = agency_of(context)
        if not self._calls.take(name, self._timing.steady_s()):
            raise CertificatesTaken(f"expected at most {CALLS} calls at once")
        return name, bytes(context.auth_context()["x509_pem_cert"][0])

    def _standing_of(self, name: str, cert_pem: bytes) -> enrolment_pb2.StandingResponse:
        """What has become of an invitation. What the roster says counts most."""
        held = find(self._folder, name, cert_pem)
        found = enrolment_pb2.StandingResponse(
            state="rejected" if held.reason else "requested" if held.is_used else "invited",
            reason=held.reason,
            request_digest=held.request if held.is_used else b"",
        )
        file = request_of(self._folder, held)
        member = self._directory.roster.member(held.agency_id)
        if file is not None and member is not None and member.signing_key == open_request(file).signing_key:
            found.state = member.state
            if member.state == "active":
                found.admission = admit(self._folder, file, now=self._timing.utc_now()).to_bytes()
        return found

    async def _refuse(
        self, what: str, err: Exception, context: enrolment_pb2_grpc._ServicerContext
    ) -> NoReturn:
        """Tell the caller the code, and the log."""
        if not isinstance(err, ElsewhereError):
            err = StoreUnavailable("expected to use the gateway's folder")  # a disk's own words stay here
        _log.warning(f"{what} refused", code=err.code)
        await context.abort(*to_status(err))

    async def Renew(  # noqa: N802 - the name in enrolment.proto
        self, request: enrolment_pb2.RenewRequest, context: enrolment_pb2_grpc._ServicerContext
    ) -> enrolment_pb2.RenewResponse:
        """Certify the caller's new key. The certificate that it calls with stays good until its end."""
        agency = ""
        try:
            agency = agency_of(context)
            csr_pem = open_renewal(request.renewal, self._key_of(agency), self._timing.utc_now())
            # Counted only once it is signed: a thief of the TLS pair uses up none of them.
            if not self._pace.take(agency, self._timing.steady_s()):
                raise CertificatesTaken(f"expected at most {RENEWALS} certificates of {agency} at once")
            made = self._certify(agency, csr_pem)
        except ElsewhereError as err:
            _log.warning("certificate refused", agency=agency, code=err.code)
            await context.abort(*to_status(err))
        _log.info("certificate renewed", agency=agency)
        return enrolment_pb2.RenewResponse(certificate_pem=made)

    def _key_of(self, name: str) -> bytes:
        """The key of an active member, or of a researcher whom the agreement in force lists."""
        researcher = re.fullmatch(RESEARCHER, name)
        if researcher is None:
            self._directory.check_active(name)
            return self._directory.roster.active(name).signing_key
        agreement = self._directory.agreement
        part = agreement.research if agreement is not None else None
        found = part.researcher(researcher[1]) if part is not None else None
        if found is None:
            raise ResearcherRefused("expected a researcher whom the agreement in force lists")
        return found.key

    def _certify(self, agency: str, csr_pem: bytes) -> bytes:
        """Sign, where the CA's key is."""
        try:
            authority = read_authority(self._folder)
        except KeyFileMissing:
            raise _no_authority() from None
        return sign_node(authority, csr_pem, agency=agency, now=self._timing.utc_now())


def _no_authority() -> NoAuthority:
    return NoAuthority("expected the CA's key in this gateway's folder; another one has it")
