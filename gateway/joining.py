"""The enrolment service: a member's next TLS certificate, over the link that its present one has opened.

Holds:    the CA's key while a certificate is signed.
Refuses:  a member that is not active; a request under another name than the caller's own; more certificates
          than anybody has use for.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from elsewhere.errors import ElsewhereError, KeyFileMissing
from elsewhere.wire.channel import agency_of
from elsewhere.wire.status import CertificatesTaken, NoAuthority, to_status
from elsewhere.wire.tls import sign_node
from elsewhere.wire.v1 import enrolment_pb2, enrolment_pb2_grpc
from gateway.directory import Directory
from gateway.folder import read_authority
from gateway.pace import Pace
from gateway.timing import Timing

# Certificates of one agency: at its half-life, on an order, and again when an answer was lost.
RENEWALS, RENEW_EVERY_S = 16, 600.0

_log = structlog.get_logger("elsewhere.gateway")


class EnrolmentService(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Serves `Renew`."""

    def __init__(self, directory: Directory, folder: Path, timing: Timing) -> None:
        self._directory, self._folder, self._timing = directory, folder, timing
        self._pace = Pace(RENEWALS, RENEW_EVERY_S)

    async def Renew(  # noqa: N802 - the name in enrolment.proto
        self, request: enrolment_pb2.RenewRequest, context: enrolment_pb2_grpc._ServicerContext
    ) -> enrolment_pb2.RenewResponse:
        """Certify the caller's new key. The certificate that it calls with stays good until its end."""
        agency = ""
        try:
            agency = agency_of(context)
            self._directory.check_active(agency)
            if not self._pace.take(agency, self._timing.steady_s()):
                raise CertificatesTaken(f"expected at most {RENEWALS} certificates of {agency} at once")
            made = self._certify(agency, request.csr_pem)
        except ElsewhereError as err:
            _log.warning("certificate refused", agency=agency, code=err.code)
            await context.abort(*to_status(err))
        _log.info("certificate renewed", agency=agency)
        return enrolment_pb2.RenewResponse(certificate_pem=made)

    def _certify(self, agency: str, csr_pem: bytes) -> bytes:
        """Sign, where the CA's key is."""
        try:
            authority = read_authority(self._folder)
        except KeyFileMissing:
            raise NoAuthority("expected the CA's key in this gateway's folder; another one has it") from None
        return sign_node(authority, csr_pem, agency=agency, now=self._timing.utc_now())
