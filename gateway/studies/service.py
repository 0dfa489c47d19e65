"""The research service: who may ask, how many studies at once, and what is left of budgets.

Holds:    of studies whose roster is fixed, the prepares until the query runs out, so that a researcher whose
          connection broke gets the shares that were charged for.
Sees:     queries and who signed them.
Refuses:  callers without a researcher's certificate; a query that another than the caller has signed, or that
          the agreement does not bear out, before any node is asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from elsewhere.agreement.terms import Agreement
from elsewhere.canonical import canonical_json
from elsewhere.clock import to_ms
from elsewhere.errors import ElsewhereError, FrameMalformed
from elsewhere.pace import Pace
from elsewhere.research.budget import open_budget_request
from elsewhere.research.errors import AgreementRefused, ResearcherRefused
from elsewhere.research.query import check_terms, open_query, terms_of
from elsewhere.wire.channel import researcher_of
from elsewhere.wire.convert.study import MAX_QUERY_BYTES
from elsewhere.wire.status import StudiesTaken, to_status
from elsewhere.wire.v1 import research_pb2, research_pb2_grpc, study_pb2
from gateway.config import GatewayConfig
from gateway.directory import Directory
from gateway.folder import read_anchor
from gateway.studies.attending import Attending, Away
from gateway.studies.study import Asked, Fixed, Study, Waits
from gateway.timing import Timing

if TYPE_CHECKING:
    from elsewhere.wire.v1.research_pb2_grpc import _ServicerContext

CALLS, CALL_EVERY_S = 64, 0.5  # of one researcher
MOST_KEPT: Final = 256

_log = structlog.get_logger("elsewhere.gateway.studies")


@dataclass(frozen=True, slots=True)
class _Kept:
    """A study whose roster is fixed, until its query runs out."""

    asked: Asked
    fixed: Fixed


class ResearchService(research_pb2_grpc.ResearchServiceServicer):
    """Serves `Describe`, `Study` and `Budget`."""

    def __init__(
        self, attending: Attending, directory: Directory, config: GatewayConfig, timing: Timing
    ) -> None:
        self._attending, self._directory = attending, directory
        self._config, self._timing = config.study, timing
        self._anchor = canonical_json(read_anchor(config.dir).to_json())
        self._pace = Pace(CALLS, CALL_EVERY_S)
        self._under_way: dict[bytes, str] = {}  # by qid: whose
        self._kept: dict[bytes, _Kept] = {}

    async def Describe(  # noqa: N802 - the name in research.proto
        self, request: research_pb2.DescribeRequest, context: _ServicerContext
    ) -> research_pb2.DescribeResponse:
        """Show the documents in force and who attends."""
        try:
            self._caller(context)
        except ElsewhereError as err:
            await context.abort(*to_status(err))
        shown = self._directory.frame().directory
        return research_pb2.DescribeResponse(
            anchor=self._anchor,
            roster=shown.roster,
            stewards_rosters=shown.stewards_rosters,
            agreement=shown.agreement,
            sent_ms=to_ms(self._timing.utc_now()),
            attending=self._attending.agencies(),
        )

    async def Study(  # type: ignore[override]  # noqa: N802
        self, request: research_pb2.StudyRequest, context: _ServicerContext
    ) -> None:
        """Run one study, or go on with one whose roster is fixed."""
        try:
            caller = self._caller(context)
            asked = self._check(caller, request.query)
            self._begin(asked.qid, caller)
        except ElsewhereError as err:
            _log.warning("study refused", code=err.code)
            await context.abort(*to_status(err))
        try:
            waits = Waits(self._config.prepare_s, self._config.commit_s)
            telling = asyncio.Lock()  # gRPC takes one message of a call at a time

            async def tell(event: research_pb2.StudyResponse) -> None:
                async with telling:
                    await context.write(event)

            study = Study(asked, self._directory.roster, self._attending, tell, waits)
            kept = self._kept.get(asked.qid)
            fixed = kept.fixed if kept else await study.prepare(accept_missing=request.accept_missing)
            if fixed is not None:
                self._keep(_Kept(asked, fixed))
                is_opened = await study.gather(fixed)
                _log.info("study ended", project=asked.query.project, opened=is_opened)
        finally:
            del self._under_way[asked.qid]

    async def Budget(  # noqa: N802
        self, request: research_pb2.BudgetRequest, context: _ServicerContext
    ) -> research_pb2.BudgetResponse:
        """Ask every participant of a project what is left of the caller's budget."""
        try:
            caller = self._caller(context)
            agreement = self._agreement()
            asked, qid = open_budget_request(request.request, agreement)
            if asked.researcher != caller:
                raise ResearcherRefused("expected a request that the caller has signed")
            project = agreement.research.project(asked.project) if agreement.research else None
            parties = [party.agency_id for party in agreement.parties]
            agencies = sorted(self._directory.active & set((project and project.participants) or parties))
        except ElsewhereError as err:
            await context.abort(*to_status(err))
        call = study_pb2.BudgetCall(qid=qid, request=request.request)
        frame = study_pb2.AttendResponse(budget=call)
        found = await asyncio.gather(*(self._ask_budget(agency, qid, frame) for agency in agencies))
        return research_pb2.BudgetResponse(
            budgets=[one for one in found if isinstance(one, bytes)],
            missing=[one for one in found if not isinstance(one, bytes)],
        )

    async def _ask_budget(
        self, agency: str, qid: bytes, frame: study_pb2.AttendResponse
    ) -> bytes | research_pb2.ParticipantChanged:
        """One node's statement, or why there is none."""
        state, code = research_pb2.PARTICIPANT_STATE_TIMED_OUT, ""
        try:
            async with asyncio.timeout(self._config.prepare_s):
                answer = await self._attending.call(agency, qid, frame)
        except Away:
            state = research_pb2.PARTICIPANT_STATE_UNREACHABLE
        except TimeoutError:
            pass
        else:
            if answer.WhichOneof("frame") == "budget":
                return bytes(answer.budget.budget)
            state, code = research_pb2.PARTICIPANT_STATE_REFUSED, answer.refused.code
        return research_pb2.ParticipantChanged(agency=agency, state=state, code=code)

    def _caller(self, context: _ServicerContext) -> str:
        """The researcher whose program calls, unless it does so all the time."""
        caller = researcher_of(context)
        if not self._pace.take(caller, self._timing.steady_s()):
            raise StudiesTaken(f"expected at most {CALLS} calls of one researcher at once")
        return caller

    def _agreement(self) -> Agreement:
        """The agreement in force."""
        if self._directory.agreement is None:
            raise AgreementRefused("expected an agreement; none is in force")
        return self._directory.agreement

    def _check(self, caller: str, envelope: bytes) -> Asked:
        """Verify a query before any node is troubled with it; each node does so again for itself."""
        if len(envelope) > MAX_QUERY_BYTES:
            raise FrameMalformed("query", f"expected at most {MAX_QUERY_BYTES} bytes, got {len(envelope)}")
        agreement, now = self._agreement(), self._timing.utc_now()
        query, qid = open_query(envelope, agreement)
        if query.researcher != caller:
            raise ResearcherRefused("expected a query that the caller has signed")
        if (kept := self._kept.get(qid)) is not None:
            return kept.asked
        roster = self._directory.roster
        check_terms(query, agreement, roster, now=now)
        return Asked(envelope, query, terms_of(query, qid, agreement, roster))

    def _begin(self, qid: bytes, caller: str) -> None:
        """Count a study as under way; raises StudiesTaken."""
        of_caller = sum(one == caller for one in self._under_way.values())
        most, most_of_one = self._config.of_all, self._config.of_researcher
        if qid in self._under_way or len(self._under_way) >= most or of_caller >= most_of_one:
            raise StudiesTaken(f"expected at most {most} studies at once, {most_of_one} of one researcher")
        self._under_way[qid] = caller

    def _keep(self, kept: _Kept) -> None:
        """Remember a fixed roster; those whose queries have run out, and the oldest, make room."""
        now = self._timing.utc_now()
        self._kept = {qid: one for qid, one in self._kept.items() if one.asked.query.expires_utc > now}
        while len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[kept.asked.qid] = kept
