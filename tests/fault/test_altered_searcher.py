"""What an altered searcher can try with its own key: all is refused or finds nothing, as written down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from elsewhere.lookup import AnswerState, Decision, EvaluateReply, Reveal
from elsewhere.receipt import open_receipt
from elsewhere.wire import kinds
from elsewhere.wire.convert import lookup as convert
from elsewhere.wire.v1 import lookup_pb2
from node.asking.part import Part
from tests.fault.direct import Pair, pair, with_request
from tests.fault.rig import kept, leaves, somebody
from tests.federation import EVA, KAI

pytestmark = pytest.mark.asyncio(loop_scope="module")
NOTHING, KNOWN = AnswerState.NOTHING_RETURNED, AnswerState.KNOWN_CURRENT
ORDER = (2**252 + 27742317777372353535851937790883648493).to_bytes(32, "little")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    async with pair(tmp_path_factory.mktemp("pair")) as made:
        yield made


async def _asked(two: Pair, part: Part) -> tuple[EvaluateReply, list[Reveal]]:
    """Round one, and every tag of it that the police hold."""
    reply = await two.evaluate(part)
    assert reply is not None
    return reply, two.every_hit(part, reply)


async def _state(two: Pair, part: Part, reveals: list[Reveal]) -> AnswerState:
    """Round two; a state and a leaf whatever was revealed."""
    logged = leaves(two.police)
    reply = await two.redeem(part, reveals)
    assert reply is not None
    assert leaves(two.police) == logged + 1
    return reply.answer.state


async def test_four_reveals_of_one_record_are_one_child(two: Pair) -> None:
    part = two.part(somebody())
    _, hits = await _asked(two, part)
    assert len(hits) > 4
    assert await _state(two, part, hits[:4]) is KNOWN


async def test_tags_kept_from_another_question_open_nothing(two: Pair) -> None:
    known = two.part(somebody())
    _, kept_tags = await _asked(two, known)
    other = two.part(somebody(row=EVA))
    _, hits = await _asked(two, other)
    assert hits == []
    blinds = other.question.blinds
    assert await _state(two, other, [replace(r, blind=blinds[r.slot]) for r in kept_tags[:4]]) is NOTHING
    again = two.part(somebody(row=EVA))
    await _asked(two, again)
    assert await _state(two, again, kept_tags[:4]) is NOTHING
    # They are good for the question they came from, and for that one only.
    assert await _state(two, known, kept_tags[:4]) is KNOWN


@pytest.mark.parametrize(
    "change",
    [
        lambda r, part: replace(r, slot=(r.slot + 1) % 40),
        lambda r, part: replace(r, blind=part.question.blinds[(r.slot + 1) % 40]),
        lambda r, part: replace(r, slot=(r.slot + 1) % 40, blind=part.question.blinds[(r.slot + 1) % 40]),
        lambda r, part: replace(r, tag=bytes(32)),
        lambda r, part: replace(r, blind=bytes(32)),
        lambda r, part: replace(r, blind=ORDER),
        lambda r, part: replace(r, blind=b"\xff" * 32),
    ],
    ids=["slot", "blind", "slot and blind", "tag", "zero blind", "blind of the order", "blind not reduced"],
)
async def test_a_tag_with_a_wrong_slot_blind_or_value_finds_nothing(
    two: Pair, change: Callable[[Reveal, Part], Reveal]
) -> None:
    part = two.part(somebody())
    _, hits = await _asked(two, part)
    assert await _state(two, part, [change(hits[0], part)]) is NOTHING


async def test_a_question_is_redeemed_once(two: Pair) -> None:
    part = two.part(somebody())
    _, hits = await _asked(two, part)
    assert await _state(two, part, []) is NOTHING
    before = kept(two.police)
    # Seeing that nothing was found does not give a second try with more.
    assert await two.redeem(part, hits[:4]) is None
    assert kept(two.police) == before


async def test_a_redeem_after_ten_minutes_is_refused(two: Pair) -> None:
    part = two.part(somebody())
    _, hits = await _asked(two, part)
    before = kept(two.police)
    two.clock.by = timedelta(minutes=10, seconds=1)
    assert await two.redeem(part, hits[:4]) is None
    two.clock.by = timedelta(minutes=9, seconds=50)
    assert kept(two.police) == before
    assert await _state(two, part, hits[:4]) is KNOWN
    two.clock.by = timedelta(0)


async def test_a_redeem_naming_another_lookup_is_refused(two: Pair) -> None:
    one, other = two.part(somebody()), two.part(somebody(row=KAI))
    _, hits = await _asked(two, one)
    await _asked(two, other)
    before = kept(two.police)
    assert await two.redeem(other, hits[:4], request_digest=one.digest) is None
    assert await two.redeem(one, hits[:4], request_digest=other.digest) is None
    assert await two.redeem(one, hits[:4], request_digest=bytes(32)) is None
    never = two.part(somebody())
    assert await two.redeem(never, hits[:4], request_digest=one.digest) is None
    assert kept(two.police) == before
    assert await _state(two, one, hits[:4]) is KNOWN


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m.reveals.add(slot=39, tag=bytes(32), blind=bytes(32)),
        lambda m: m.reveals[1].CopyFrom(m.reveals[0]),
        lambda m: setattr(m.reveals[0], "slot", 40),
        lambda m: setattr(m.reveals[0], "tag", bytes(31)),
        lambda m: setattr(m.reveals[0], "blind", bytes(33)),
        lambda m: setattr(m, "nonce", bytes(15)),
    ],
    ids=["five reveals", "a slot twice", "slot 40", "short tag", "long blind", "short nonce"],
)
async def test_a_misshapen_redeem_is_refused_and_uses_nothing_up(
    two: Pair, spoil: Callable[[lookup_pb2.RedeemRequest], object]
) -> None:
    part = two.part(somebody())
    _, hits = await _asked(two, part)
    message = lookup_pb2.RedeemRequest(request_digest=part.digest, nonce=bytes(16), names_asked=True)
    for hit in hits[:4]:
        message.reveals.add(slot=hit.slot, tag=hit.tag, blind=hit.blind)
    spoil(message)
    before = kept(two.police)
    assert await two.redeem_bytes(part, message.SerializeToString()) is None
    assert await two.redeem_bytes(part, b"\xff") is None
    assert kept(two.police) == before
    assert await _state(two, part, hits[:4]) is KNOWN


@pytest.mark.parametrize(
    "spoil",
    [
        lambda elements: (b"\xff" * 32, *elements[1:]),
        lambda elements: (*elements[:39], bytes(32)),
        lambda elements: (*elements[:39], elements[0]),
    ],
    ids=["not canonical", "identity", "repeated"],
)
async def test_bad_elements_are_an_error_and_nothing_of_them_is_evaluated(
    two: Pair, spoil: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
) -> None:
    part = two.part(somebody())
    _, hits = await _asked(two, part)
    bad = with_request(two.part(somebody()), elements=spoil(part.request.elements))
    before = kept(two.police)
    reply = await two.evaluate(bad)
    assert reply is not None
    assert (reply.ruling.decision, reply.ruling.code) == (Decision.ERROR, "oprf.element")
    # The good slots of it open nothing either: round one was not permitted.
    assert await _state(two, bad, [hit for hit in hits if hit.slot not in (0, 39)][:4]) is NOTHING
    assert kept(two.police) == (before[0], before[1] + 1)


@pytest.mark.parametrize("count", [0, 39, 41])
async def test_a_batch_of_another_size_is_refused(two: Pair, count: int) -> None:
    part, other = two.part(somebody()), two.part(somebody(row=KAI))
    elements = (*part.request.elements, *other.request.elements)[:count]
    message = lookup_pb2.EvaluateRequest()
    message.ParseFromString(convert.evaluate_request_to_wire(part.request))
    del message.elements[:]
    message.elements.extend(elements)
    sealed, _ = two.seal(part, message.SerializeToString(), kinds.EVALUATE_REQUEST, 1)
    before = kept(two.police)
    assert await two.say(part, sealed, 1) is None
    assert kept(two.police) == before


async def test_a_nonce_used_for_another_question_is_refused(two: Pair) -> None:
    part = two.part(somebody())
    await _asked(two, part)
    before = kept(two.police)
    other = with_request(two.part(somebody(row=KAI)), nonce=part.request.nonce)
    assert await two.evaluate(other) is None
    assert kept(two.police) == before
    two.restart_police()
    assert await two.evaluate(with_request(two.part(somebody(row=KAI)), nonce=part.request.nonce)) is None
    assert kept(two.police) == before


async def test_what_was_not_permitted_cannot_be_redeemed_with_tags_from_what_was(two: Pair) -> None:
    part = two.part(somebody())
    _, hits = await _asked(two, part)
    # The same elements under terms that nobody permits: every reveal would open its slot.
    terms = replace(part.request.terms, purpose="EMPLOYMENT_CHECK")
    other = two.part(somebody())
    other.question = part.question
    denied = with_request(other, terms=terms, elements=part.request.elements)
    reply = await two.evaluate(denied)
    assert reply is not None
    assert (reply.ruling.decision, reply.ruling.code) == (Decision.DENY, "question.vocabulary")
    said = await two.redeem(denied, hits[:4])
    assert said is not None
    assert said.answer.state is NOTHING
    receipt = open_receipt(said.receipt, two.police.keys.view.signing.public)
    assert (receipt.decision, receipt.tier) == ("DENY", "")


async def test_tags_of_one_collection_open_nothing_in_the_other(two: Pair) -> None:
    part = two.part(somebody())
    assert part.request.collection == "protected"
    _, hits = await _asked(two, part)
    other = two.part(somebody())
    other.question = part.question
    narrow = with_request(other, collection="involvement", elements=part.request.elements)
    await two.evaluate(narrow)
    assert await _state(two, narrow, hits[:4]) is NOTHING


@pytest.mark.parametrize(
    "change", [{"custodian": "hospital"}, {"searcher": "police"}, {"lookup_id": bytes(16)}]
)
async def test_a_question_that_names_others_than_its_seal_is_refused(
    two: Pair, change: dict[str, object]
) -> None:
    part = two.part(somebody())
    payload = convert.evaluate_request_to_wire(replace(part.request, **change))  # type: ignore[arg-type]
    sealed, _ = two.seal(part, payload, kinds.EVALUATE_REQUEST, 1)
    before = kept(two.police)
    assert await two.say(part, sealed, 1) is None
    assert kept(two.police) == before
