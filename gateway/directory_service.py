"""The calls by which members hand documents on, and tell each other what they hold.

Sees:     public documents; times at which members' nodes ran.
Refuses:  what does not hold, and whoever calls all the time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from elsewhere.errors import ElsewhereError, StoreUnavailable
from elsewhere.pace import Pace
from elsewhere.wire.channel import HasAuthContext, agency_of
from elsewhere.wire.status import StatementsTaken, to_status
from elsewhere.wire.v1 import directory_pb2, directory_pb2_grpc
from gateway.carried import take_documents
from gateway.catalogues import Catalogues
from gateway.comparing import Comparing
from gateway.directory import Directory
from gateway.finishing import to_its_end
from gateway.folder import read_gateway_key
from gateway.freshening import Freshening

# Calls with documents of one agency: each is verified, whoever signed it.
CALLS, CALL_EVERY_S = 256, 0.25

_log = structlog.get_logger("elsewhere.gateway")


class DirectoryService(directory_pb2_grpc.DirectoryServiceServicer):
    """Serves `PublishStatement`, `PublishDocuments` and `Freshen`."""

    def __init__(self, directory: Directory, catalogues: Catalogues, folder: Path) -> None:
        self._directory, self._catalogues, self._folder = directory, catalogues, folder
        self._freshening = Freshening(lambda: directory.roster, read_gateway_key(folder))
        self._comparing = Comparing(lambda: directory.roster, time.monotonic)
        self._pace = Pace(CALLS, CALL_EVERY_S)
        self._taking = asyncio.Lock()  # a hundred members may hand on the same document in one moment

    async def PublishStatement(  # noqa: N802 - the name in directory.proto
        self,
        request: directory_pb2.PublishStatementRequest,
        context: directory_pb2_grpc._ServicerContext,
    ) -> directory_pb2.PublishStatementResponse:
        """Keep the caller's own key statement and show it to all; drop the catalogues of keys that ended."""
        try:
            agency = self._paced(context)
            self._directory.check_active(agency)
            version = self._directory.publish_statement(agency, request.statement)
            await to_its_end(self._drop_unstated(agency))
        except ElsewhereError as err:
            _log.warning("statement refused", code=err.code)
            await context.abort(*to_status(err))
        return directory_pb2.PublishStatementResponse(version=version)

    async def _drop_unstated(self, agency: str) -> None:
        """Drop the catalogues of keys that an agency states no longer, and tell nobody more of them."""
        self._directory.hide_catalogues(await asyncio.to_thread(self._catalogues.drop_unstated, agency))

    async def PublishDocuments(  # noqa: N802
        self,
        request: directory_pb2.PublishDocumentsRequest,
        context: directory_pb2_grpc._ServicerContext,
    ) -> directory_pb2.PublishDocumentsResponse:
        """Take newer documents that somebody hands on, and show them to all.

        Whoever the CA has certified may: if this gateway is far behind, it knows none of today's members.
        """
        try:
            self._paced(context)
            async with self._taking:
                roster, agreement = await asyncio.to_thread(
                    self._take, request.roster, request.agreement, request.stewards_rosters
                )
            self._directory.refresh()
        except ElsewhereError as err:
            _log.warning("documents refused", code=err.code)
            await context.abort(*to_status(err))
        return directory_pb2.PublishDocumentsResponse(roster_version=roster, agreement_version=agreement)

    async def Freshen(  # noqa: N802
        self, request: directory_pb2.FreshenRequest, context: directory_pb2_grpc._ServicerContext
    ) -> directory_pb2.FreshenResponse:
        """Take who has seen the roster in force just now, and tell who else has."""
        try:
            caller = self._paced(context)
            note = self._freshening.exchange(caller, request.line)
            told = self._comparing.exchange(caller, request.statements)
        except ElsewhereError as err:
            await context.abort(*to_status(err))
        return directory_pb2.FreshenResponse(note=note.encode(), statements=told)

    def _paced(self, context: HasAuthContext) -> str:
        """Who is calling, unless it does so all the time."""
        agency = agency_of(context)
        if not self._pace.take(agency, asyncio.get_running_loop().time()):
            raise StatementsTaken(f"expected at most {CALLS} calls of {agency} at once")
        return agency

    def _take(self, roster: bytes, agreement: bytes, chain: Sequence[bytes]) -> tuple[int, int]:
        """Put them in the folder; a disk that fails is told without its own words."""
        try:
            return take_documents(self._folder, roster, agreement, chain)
        except OSError:
            raise StoreUnavailable("expected to write a document in the gateway's folder") from None
