"""One study at the gateway: ask who takes part, fix the roster once, gather the shares, hand all of them on.

Holds:    masked shares until the last one is in, in memory; after that, or after a failure, nothing of them.
Sees:     queries, and shares that say nothing until all are added.
Promises: a roster, once fixed, is never made smaller, and part of the shares is never handed on: either would
          tell more than was charged for. Every participant ends in a terminal state with its reason.
Source:   docs/protocol.md, "Studies".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from elsewhere.errors import ElsewhereError
from elsewhere.research.query import Query
from elsewhere.roster import Roster
from elsewhere.securesum.errors import TooFewHold, TooFewTakePart
from elsewhere.securesum.prepare import Prepare, open_prepare, roster_hash
from elsewhere.securesum.share import open_share
from elsewhere.securesum.terms import Terms, enough_operators
from elsewhere.wire.v1 import research_pb2, study_pb2
from gateway.studies.attending import Attending, Away

_ASKED: Final = research_pb2.PARTICIPANT_STATE_ASKED
_PREPARED: Final = research_pb2.PARTICIPANT_STATE_PREPARED
_SHARED: Final = research_pb2.PARTICIPANT_STATE_SHARED
_REFUSED: Final = research_pb2.PARTICIPANT_STATE_REFUSED
_UNREACHABLE: Final = research_pb2.PARTICIPANT_STATE_UNREACHABLE
_TIMED_OUT: Final = research_pb2.PARTICIPANT_STATE_TIMED_OUT
_RELEASED: Final = research_pb2.PARTICIPANT_STATE_RELEASED

Tell = Callable[[research_pb2.StudyResponse], Awaitable[None]]


class Unfit(ElsewhereError):
    """What a node sent is not signed by it, or is about something else. Its operator should know."""

    code = "refused.document"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as the gateway has verified it."""

    envelope: bytes
    query: Query
    terms: Terms

    @property
    def qid(self) -> bytes:
        """The query's id, 32 bytes."""
        return self.terms.qid


@dataclass(frozen=True, slots=True)
class Fixed:
    """Who takes part, for good. Public keys and sealed halves of masks; no share."""

    prepares: Mapping[str, bytes]  # by agency, as signed
    seals: Mapping[str, tuple[study_pb2.Seal, ...]] = field(repr=False)  # by who opens them
    rh: bytes


@dataclass(frozen=True, slots=True)
class Waits:
    """How long nodes may take, in seconds."""

    prepare_s: float
    commit_s: float


class Study:
    """Runs one study. All calls on the event loop."""

    def __init__(self, asked: Asked, roster: Roster, attending: Attending, tell: Tell, waits: Waits) -> None:
        self._asked, self._roster, self._attending = asked, roster, attending
        self._tell, self._waits = tell, waits

    async def prepare(self, *, accept_missing: bool) -> Fixed | None:
        """Ask every participant whether it takes part.

        Returns: the roster, fixed; None if too few take part, and then nothing was charged anywhere.
        """
        query = self._asked.query
        found = await asyncio.gather(*(self._prepare_one(agency) for agency in query.participants))
        ready = {
            agency: one for agency, one in zip(query.participants, found, strict=True) if one is not None
        }
        if not self._is_enough(list(ready)) or (len(ready) < len(found) and not accept_missing):
            for agency in ready:
                await self._change(agency, _RELEASED)
            await self._end(research_pb2.STUDY_END_NOT_STARTED)
            return None
        return self._fix(ready)

    async def gather(self, fixed: Fixed) -> bool:
        """Have every participant charge and send its share, and hand all of them on.

        Returns: whether all came. If not, what was charged stands, and no share is handed on.
        """
        await self._tell(_event(fixed=research_pb2.RosterFixed(prepares=list(fixed.prepares.values()))))
        agencies = tuple(fixed.prepares)
        found = await asyncio.gather(*(self._gather_one(agency, fixed) for agency in agencies))
        shares = [share for share in found if share is not None]
        if len(shares) < len(agencies):
            await self._end(research_pb2.STUDY_END_FAILED)
            return False
        for agency, share in zip(agencies, shares, strict=True):
            await self._tell(_event(share=research_pb2.ShareBrought(agency=agency, share=share)))
        await self._end(research_pb2.STUDY_END_OPENED)
        return True

    def _is_enough(self, agencies: Sequence[str]) -> bool:
        """Whether their nodes would add anything up: nobody should be asked in vain."""
        try:
            enough_operators(self._asked.terms, agencies, self._roster)
        except (TooFewTakePart, TooFewHold):
            return False
        return True

    async def _prepare_one(self, agency: str) -> tuple[Prepare, study_pb2.Prepared] | None:
        """Ask one participant; None if it takes no part, and then the researcher has been told why."""
        asked = self._asked
        await self._change(agency, _ASKED)
        call = study_pb2.PrepareCall(qid=asked.qid, query=asked.envelope)
        answer = await self._call(agency, study_pb2.AttendResponse(prepare=call), self._waits.prepare_s)
        if answer is None:
            return None
        try:
            if answer.WhichOneof("frame") != "prepared":
                raise Unfit("expected a prepare; another frame came")
            signer = self._roster.active(agency).signing_key
            prepare = open_prepare(answer.prepared.prepare, signer)
            if (prepare.agency, prepare.qid) != (agency, asked.qid):
                raise Unfit("expected a prepare of this node for this query")
        except ElsewhereError:
            await self._change(agency, _REFUSED, Unfit.code)
            return None
        await self._change(agency, _PREPARED)
        return prepare, answer.prepared

    async def _gather_one(self, agency: str, fixed: Fixed) -> bytes | None:
        """Have one participant charge; None if its share does not come."""
        asked = self._asked
        call = study_pb2.CommitCall(
            qid=asked.qid,
            query=asked.envelope,
            prepares=list(fixed.prepares.values()),
            seals=fixed.seals.get(agency, ()),
        )
        frame = study_pb2.AttendResponse(commit=call)
        answer = await self._call(agency, frame, self._waits.commit_s, patient=True)
        if answer is None:
            return None
        try:
            if answer.WhichOneof("frame") != "shared":
                raise Unfit("expected a share; another frame came")
            share = open_share(answer.shared.share, self._roster.active(agency).signing_key)
            named = (share.agency, share.qid, share.rh)
            if named != (agency, asked.qid, fixed.rh) or len(share.body) != 8 * asked.query.width:
                raise Unfit("expected the share of this node, query and roster, of its length")
        except ElsewhereError:
            await self._change(agency, _REFUSED, Unfit.code)
            return None
        await self._change(agency, _SHARED)
        return bytes(answer.shared.share)

    async def _call(
        self, agency: str, frame: study_pb2.AttendResponse, wait_s: float, *, patient: bool = False
    ) -> study_pb2.AttendRequest | None:
        """Call one node; None if it did not answer or refused, and then the researcher has been told."""
        try:
            async with asyncio.timeout(wait_s):
                answer = await self._attending.call(agency, self._asked.qid, frame, patient=patient)
        except Away:
            await self._change(agency, _UNREACHABLE)
            return None
        except TimeoutError:
            is_here = agency in self._attending.agencies()
            await self._change(agency, _TIMED_OUT if is_here else _UNREACHABLE)
            return None
        if answer.WhichOneof("frame") == "refused":
            await self._change(agency, _REFUSED, answer.refused.code)
            return None
        return answer

    def _fix(self, ready: Mapping[str, tuple[Prepare, study_pb2.Prepared]]) -> Fixed:
        """Bring the prepares together, and to each node the seals that it opens."""
        seals: dict[str, list[study_pb2.Seal]] = {agency: [] for agency in ready}
        for maker, (_, prepared) in ready.items():
            for seal in prepared.seals:
                if seal.agency in seals:
                    seals[seal.agency].append(study_pb2.Seal(agency=maker, sealed=seal.sealed))
        return Fixed(
            prepares={agency: bytes(prepared.prepare) for agency, (_, prepared) in ready.items()},
            seals={agency: tuple(found) for agency, found in seals.items()},
            rh=roster_hash(
                self._asked.qid, self._asked.query.colluding, [prepare for prepare, _ in ready.values()]
            ),
        )

    async def _change(
        self, agency: str, state: research_pb2.ParticipantState.ValueType, code: str = ""
    ) -> None:
        changed = research_pb2.ParticipantChanged(agency=agency, state=state, code=code)
        await self._tell(_event(changed=changed))

    async def _end(self, end: research_pb2.StudyEnd.ValueType) -> None:
        await self._tell(_event(ended=research_pb2.StudyEnded(end=end)))


def _event(**event: object) -> research_pb2.StudyResponse:
    """One event of a study."""
    return research_pb2.StudyResponse(**event)  # type: ignore[arg-type]
