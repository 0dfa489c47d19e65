"""Running one study: send the signed query, follow what happens, keep what came, verify and add it.

Promises: a call that breaks off once the participants are fixed is taken up again with the same query, so
          that what was charged is not lost; a query is never signed twice. Shares are kept before they are
          added.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import sleep
from typing import Final

import grpc

from elsewhere.errors import GatewayUnreachable
from elsewhere.keyfiles import replace_file
from elsewhere.research.query import Query
from elsewhere.sdk.researcher.calls import GatewayRefused, Gateways
from elsewhere.sdk.researcher.ends import STATES, Participant
from elsewhere.sdk.researcher.folder import STUDIES
from elsewhere.sdk.researcher.kept import Kept
from elsewhere.sdk.researcher.trust import Documents
from elsewhere.wire.v1 import research_pb2, research_pb2_grpc

STUDY_S: Final = 700.0  # longer than a gateway waits for its nodes
ATTEMPTS: Final = 3
AGAIN_S: Final = 2.0  # until a call that broke off is taken up again
Tell = Callable[[Participant], None]


@dataclass(frozen=True, slots=True)
class Signed:
    """A query as it was signed."""

    envelope: bytes
    query: Query
    qid: bytes


@dataclass(slots=True)
class Course:
    """What has happened in a study so far."""

    states: dict[str, Participant] = field(default_factory=dict)
    prepares: tuple[bytes, ...] = ()
    shares: dict[str, bytes] = field(default_factory=dict)
    end: int = research_pb2.STUDY_END_UNSPECIFIED

    @property
    def participants(self) -> tuple[Participant, ...]:
        """Everybody's state, by name."""
        return tuple(self.states[agency] for agency in sorted(self.states))

    @property
    def is_fixed(self) -> bool:
        """Whether anything may have been charged."""
        return bool(self.prepares)

    def take(self, event: research_pb2.StudyResponse, tell: Tell) -> None:
        """Note one event; kinds of a later version are passed over."""
        kind = event.WhichOneof("event")
        if kind == "changed":
            found = participant(event.changed)
            self.states[found.agency] = found
            tell(found)
        elif kind == "fixed":
            self.prepares = tuple(event.fixed.prepares)
        elif kind == "share":
            self.shares[event.share.agency] = event.share.share
        elif kind == "ended":
            # A gateway that forgot the study finds every node taken: what was charged stands all the same.
            is_late = self.is_fixed and event.ended.end == research_pb2.STUDY_END_NOT_STARTED
            self.end = research_pb2.STUDY_END_FAILED if is_late else event.ended.end


def run(gateways: Gateways, signed: Signed, *, accept_missing: bool, tell: Tell) -> Course:
    """Run a study to its end.

    Args:
        gateways: where to ask.
        signed: the query.
        accept_missing: go on without participants that refuse or are away.
        tell: called with each participant's state as it changes.

    Raises:
        GatewayUnreachable: the call broke off and could not be taken up again. Whether anything was charged
            is told by `Research.budget`.
        GatewayRefused: the gateway does not take the query. Nothing was charged: no roster had been fixed.
    """
    course = Course()
    for address in gateways.addresses:
        try:
            _follow(replace(gateways, addresses=(address,)), signed, course, tell, accept_missing)
        except GatewayUnreachable:
            if not course.states:
                continue  # it has not taken the query
        except GatewayRefused:
            if not course.is_fixed:
                raise
            # Something may have been charged by now: it is taken up again, as a call that broke off.
        break
    else:
        raise GatewayUnreachable("expected an answer of a gateway; none came")
    # The participants are fixed at this one gateway; another would find them taken.
    for _ in range(ATTEMPTS):
        if course.end or not course.is_fixed:
            break
        sleep(AGAIN_S)
        with suppress(GatewayUnreachable, GatewayRefused):
            _follow(replace(gateways, addresses=(address,)), signed, course, tell, accept_missing)
    if not course.end:
        raise GatewayUnreachable("expected the study to end; the call broke off and was not taken up again")
    return course


def keep(folder: Path, signed: Signed, course: Course, documents: Documents) -> tuple[Kept, Path]:
    """Keep a study whose shares are all in."""
    kept = Kept(
        query=signed.envelope,
        prepares=course.prepares,
        shares=dict(course.shares),
        chain=documents.succession.chain,
        roster=documents.succession.envelope,
        agreement=documents.agreement_envelope,
    )
    (folder / STUDIES).mkdir(mode=0o700, exist_ok=True)
    path = folder / STUDIES / f"{signed.qid.hex()}.json"
    replace_file(path, kept.to_bytes())
    return kept, path


def participant(changed: research_pb2.ParticipantChanged) -> Participant:
    """A participant's state; one of a later version is unknown."""
    return Participant(changed.agency, STATES.get(changed.state, "unknown"), changed.code)


def _follow(gateway: Gateways, signed: Signed, course: Course, tell: Tell, accept_missing: bool) -> None:
    """Follow one call to its end."""
    request = research_pb2.StudyRequest(query=signed.envelope, accept_missing=accept_missing)

    def follow(channel: grpc.Channel) -> None:
        for event in research_pb2_grpc.ResearchServiceStub(channel).Study(request, timeout=STUDY_S):
            course.take(event, tell)

    gateway.call(follow)
