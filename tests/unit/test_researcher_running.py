"""A researcher's call that breaks off: what may have been charged is never called free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import grpc
import pytest

from elsewhere.errors import GatewayUnreachable
from elsewhere.research.query import Query
from elsewhere.sdk.researcher import running
from elsewhere.sdk.researcher.calls import GatewayRefused, Gateways
from elsewhere.sdk.researcher.running import Course, Signed
from elsewhere.wire.v1 import research_pb2, research_pb2_grpc

Script = Sequence[research_pb2.StudyResponse | Exception]
SIGNED = Signed(b"signed", cast("Query", None), bytes(32))
CHANGED = research_pb2.ParticipantChanged(agency="police", state=research_pb2.PARTICIPANT_STATE_ASKED)
ASKED = research_pb2.StudyResponse(changed=CHANGED)
FIXED = research_pb2.StudyResponse(fixed=research_pb2.RosterFixed(prepares=[b"p"]))
OPENED = research_pb2.StudyResponse(ended=research_pb2.StudyEnded(end=research_pb2.STUDY_END_OPENED))
NOT_STARTED = research_pb2.StudyResponse(
    ended=research_pb2.StudyEnded(end=research_pb2.STUDY_END_NOT_STARTED)
)
AWAY = GatewayUnreachable("away")


class Played:
    """Gateways that follow a script: one list a call, in their order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scripts: Iterator[Script] = iter(())
        self.called: list[str] = []
        monkeypatch.setattr(running, "sleep", lambda seconds: None)
        monkeypatch.setattr(research_pb2_grpc, "ResearchServiceStub", lambda channel: self)
        monkeypatch.setattr(Gateways, "call", lambda gateways, ask: self._call(gateways, ask))

    def run(self, *scripts: Script) -> Course:
        self.scripts = iter(scripts)
        gateways = Gateways(("one:1", "two:2"), cast("grpc.ChannelCredentials", None))
        return running.run(gateways, SIGNED, accept_missing=False, tell=lambda one: None)

    def Study(self, request: object, timeout: float) -> Iterator[research_pb2.StudyResponse]:  # noqa: N802
        for step in next(self.scripts):
            if isinstance(step, Exception):
                raise step
            yield step

    def _call(self, gateways: Gateways, ask: Callable[[object], None]) -> None:
        self.called += gateways.addresses
        ask(None)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(monkeypatch)


def test_a_gateway_that_is_away_is_passed_over(played: Played) -> None:
    end = played.run([AWAY], [ASKED, FIXED, OPENED]).end

    assert end == research_pb2.STUDY_END_OPENED
    assert played.called == ["one:1", "two:2"]


def test_a_call_that_breaks_off_is_taken_up_at_the_same_gateway(played: Played) -> None:
    busy = GatewayRefused("study.busy")
    end = played.run([ASKED, FIXED, AWAY], [busy], [FIXED, OPENED]).end

    assert end == research_pb2.STUDY_END_OPENED
    assert played.called == ["one:1"] * 3


def test_a_refusal_after_the_participants_were_fixed_is_taken_up_like_a_broken_call(played: Played) -> None:
    busy = GatewayRefused("study.busy")
    end = played.run([ASKED, FIXED, busy], [FIXED, OPENED]).end

    assert end == research_pb2.STUDY_END_OPENED
    with pytest.raises(GatewayUnreachable):  # which calls nothing free
        played.run([ASKED, FIXED, busy], *[[busy]] * running.ATTEMPTS)


def test_a_gateway_that_forgot_a_study_makes_it_failed_and_not_free(played: Played) -> None:
    end = played.run([ASKED, FIXED, AWAY], [ASKED, NOT_STARTED]).end

    assert end == research_pb2.STUDY_END_FAILED


def test_a_call_that_breaks_before_anything_was_fixed_is_not_asked_again(played: Played) -> None:
    with pytest.raises(GatewayUnreachable):
        played.run([ASKED, AWAY])
    assert played.called == ["one:1"]


def test_a_call_that_never_comes_back_is_given_up(played: Played) -> None:
    with pytest.raises(GatewayUnreachable):
        played.run([ASKED, FIXED, AWAY], *[[AWAY]] * running.ATTEMPTS)
    assert played.called == ["one:1"] * (running.ATTEMPTS + 1)


def test_a_refusal_before_anything_was_fixed_is_the_gateways_own_word(played: Played) -> None:
    with pytest.raises(GatewayRefused) as refusal:
        played.run([GatewayRefused("refused.project")])
    assert refusal.value.code == "refused.project"
