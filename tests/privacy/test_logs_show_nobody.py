"""No log line, error text, figure or printed object of any party names a child, an asker or a case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import Connection, text

import node.answering.redeem
import node.ledger.book
from elsewhere.asking import Ask, State
from elsewhere.errors import AskInvalid
from elsewhere.person.identity import Person
from elsewhere.wire.v1 import link_pb2
from node.answering.service import Answering
from node.asking.part import Part
from node.asking.questions import QuestionMaker
from tests.federation import Federation
from tests.privacy.canaries import assert_absent
from tests.privacy.people import ASKER, CASE, QUILLA, QUILLA_NHS, YSOLDE, ask, words_of
from tests.privacy.transcript import Transcript, tapped

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Shared:
    made: Federation
    tap: Transcript


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with tapped(tmp_path_factory.mktemp("federation")) as (made, tap):
        rare = {"catalogue": {"tick_s": 60}, "lookup": {"deadline_ms": 4000, "retry_s": 900}}
        policy = {"denied_purposes": ["EARLY_HELP"], "review_purposes": ["CIN_ASSESSMENT"]}
        made.join("social", [], **rare)
        made.join("police", [{**QUILLA, "nhs": QUILLA_NHS}], policy=policy, **rare)
        await made.start("social", "police")
        yield Shared(made, tap)


async def everything(shared: Shared, patch: pytest.MonkeyPatch) -> list[str]:
    """Ask well and badly, and let every party meet faults of its own; gives all words that came of it."""
    words: list[str] = []

    async def look(asked: Ask) -> State:
        lookup = await shared.tap.ask(shared.made, asked)
        words.extend((*shared.tap.log, *shared.tap.errors, *printed(shared, asked, lookup)))
        return lookup.state("police")

    words += [*shared.tap.log, *shared.tap.errors]  # of starting
    assert await look(ask(QUILLA, nhs=QUILLA_NHS)) is State.KNOWN_CURRENT
    assert await look(ask(YSOLDE)) is State.NOTHING_RETURNED
    assert await look(ask(QUILLA, purpose="EARLY_HELP")) is State.DENIED
    assert await look(ask(QUILLA, purpose="CIN_ASSESSMENT")) is State.REVIEW
    assert await look(replace(ask(QUILLA), person=doubtful())) is State.KNOWN_CURRENT
    for wrong in ({"purpose": "WONDERING"}, {"custodians": ("vexborough",)}):
        with pytest.raises(AskInvalid):
            await look(replace(ask(QUILLA), **wrong))
    words += [*shared.tap.log, *shared.tap.errors]
    for wrong in ({"case_reference": CASE * 20}, {"asker": ASKER + "\n"}, {"urgency": "MAUVE"}):
        with pytest.raises(AskInvalid):
            ask(QUILLA, **wrong)
    words += shared.tap.errors
    for break_it in (tamper, fail_in_round_two, fail_at_searcher, fail_in_store):
        with patch.context() as inner:
            expected = break_it(inner)
            assert await look(ask(QUILLA, nhs=QUILLA_NHS)) is expected, break_it.__name__
    return words


def doubtful() -> Person:
    """A person typed badly: what cannot be used is noted, by field."""
    return Person.of(
        given=QUILLA["given"],
        family=QUILLA["family"],
        dob="2015-03-02",
        postcode=QUILLA["postcode"],
        nhs_number="9990000027",
        upn="A99999999999Z",
    )


def printed(shared: Shared, asked: Ask, lookup: Any) -> list[str]:
    """What a careless print or format would give."""
    gateway, police = shared.made.gateway, shared.made.nodes["police"]
    assert gateway is not None
    things = [asked, asked.person, lookup.started, *shared.tap.questions, *shared.tap.requests("police")]
    things += [*shared.tap.redeems("police"), *(told for _, told in shared.tap.told)]
    things += [police.status(), police.custodian, gateway.lookups.ignored, vars(gateway.lookups)]
    return [repr(thing) for thing in things]


def tamper(patch: pytest.MonkeyPatch) -> State:
    answer = Answering._answer

    async def tampered(answering: Answering, dispatch: link_pb2.Dispatch) -> bytes:
        dispatch.sealed = dispatch.sealed[:-1] + bytes([dispatch.sealed[-1] ^ 1])
        return await answer(answering, dispatch)

    patch.setattr(Answering, "_answer", tampered)
    return State.ERROR


def fail_in_round_two(patch: pytest.MonkeyPatch) -> State:
    def fail(found: Any, **_: Any) -> Any:
        raise ValueError(f"cannot judge {QUILLA['family']} {found}")

    patch.setattr(node.answering.redeem, "judge", fail)
    return State.POSSIBLE


def fail_at_searcher(patch: pytest.MonkeyPatch) -> State:
    def fail(*_: Any) -> Any:
        raise RuntimeError(f"cannot find {QUILLA['family']}")

    patch.setattr(Part, "find_reveals", fail)
    return State.ERROR


def fail_in_store(patch: pytest.MonkeyPatch) -> State:
    append = node.ledger.book.append

    def fail(connection: Connection, entry: node.ledger.book.Entry, *about: Any) -> None:
        if entry.kind == "answered":
            connection.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": QUILLA["family"]})
        append(connection, entry, *about)

    patch.setattr(node.ledger.book, "append", fail)
    return State.TIMED_OUT


def assert_names_nobody(words: list[str]) -> None:
    """No detail of a child, an asker or a case in any of them."""
    secret = words_of(QUILLA) | words_of(YSOLDE)
    secret |= {"NHS number": QUILLA_NHS, "wrong NHS number": "9990000027", "UPN": "A99999999999Z"}
    secret |= {"case": CASE, "asker": ASKER}
    assert_absent(secret, [("words", "\n".join(words).encode())])


async def test_nobody_is_named_in_any_log_error_or_figure(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = await everything(shared, monkeypatch)

    for event in ("question.refused", "redeem.failed", "lookup.failed", "seal", "AskInvalid"):
        assert any(event in line for line in words), event
    assert_names_nobody(words)


async def test_twin_a_line_that_quotes_a_question_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = QuestionMaker.prepare

    def chatty(maker: QuestionMaker, asked: Ask, *rest: Any) -> Any:
        structlog.get_logger("node").debug("preparing", about=asked.person.names[0].family)
        return prepare(maker, asked, *rest)

    monkeypatch.setattr(QuestionMaker, "prepare", chatty)
    await shared.tap.ask(shared.made, ask(QUILLA))

    with pytest.raises(AssertionError, match="is in words"):
        assert_names_nobody(shared.tap.log)


async def test_twin_an_error_that_quotes_a_question_is_caught(shared: Shared) -> None:
    shared.tap.clear()
    with pytest.raises(AskInvalid):
        raise AskInvalid(f"case_reference: expected another than {CASE}")

    with pytest.raises(AssertionError, match="case is in words"):
        assert_names_nobody(shared.tap.errors)
