"""What a custodian learns: of a child it does not know, nothing; of one it knows, which record was meant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

import node.asking.part
import node.asking.questions
from elsewhere.asking import Ask, State
from elsewhere.lookup import SLOTS, EvaluateRequest, Head, RedeemRequest, Reveal
from elsewhere.matchkeys import question_keys, record_keys
from elsewhere.oprf import group, voprf
from elsewhere.person.identity import Person
from elsewhere.question import Question, build_question
from gateway.links import Link
from gateway.lookups import Lookups
from node.asking.part import Part
from node.asking.questions import QuestionMaker
from node.store.exchange import log, subject
from tests.federation import Federation, person
from tests.held import find_tag
from tests.privacy.people import ASKER, DORRAN, POPULATION, QUILLA, QUILLA_NHS, YSOLDE, ask
from tests.privacy.transcript import Transcript, tapped

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE = (1).to_bytes(32, "little")  # a blind that hides nothing


@dataclass
class Shared:
    made: Federation
    tap: Transcript
    now: datetime


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with tapped(tmp_path_factory.mktemp("federation")) as (made, tap):
        rare = {"catalogue": {"tick_s": 60}}
        made.join("social", [], **rare)
        made.join("police", [{**QUILLA, "nhs": QUILLA_NHS}, DORRAN], **rare)
        made.join("hospital", [QUILLA], **rare)
        made.join("schools", [YSOLDE], **rare)
        await made.start("social", "police", "hospital", "schools")
        yield Shared(made, tap, datetime.now(UTC))


def keys_of(child: Mapping[str, str]) -> list[bytes]:
    """Every match key under which a child of the population could have been asked about."""
    who = person(child, nhs_number=QUILLA_NHS)
    return [key.data for key in {key.data: key for key in (*record_keys(who), *question_keys(who))}.values()]


def assert_child_is_hidden(shared: Shared, custodian: str) -> None:
    """With its own key and a list of everybody, a custodian finds nobody in what it opened."""
    ((request,), (redeem,)) = shared.tap.requests(custodian), shared.tap.redeems(custodian)
    key = shared.made.nodes[custodian].keys.view.oprf[request.collection, request.epoch]
    seen = set(request.elements) | set(group.multiply_each(key.scalar, request.elements))
    opened = b"".join(payload for agency, _, payload in shared.tap.opened if agency == custodian)
    for child in POPULATION:
        inputs = keys_of(child)
        hashed = voprf.blind(inputs, [ONE] * len(inputs))
        assert not seen & {*hashed, *group.multiply_each(key.scalar, hashed)}, "an element is not hidden"
        for value in (*inputs, *voprf.tag_each(key, inputs), person(child).canonical()):
            assert value not in opened, "a key or tag is in what was opened"
            assert hashlib.sha256(value).digest() not in opened, "a digest is in what was opened"
    assert redeem.reveals == (), "something was revealed"


async def test_a_custodian_that_does_not_know_the_child_cannot_tell_who_it_is(shared: Shared) -> None:
    lookup = await shared.tap.ask(shared.made, ask(QUILLA, nhs=QUILLA_NHS))

    assert lookup.state("schools") is State.NOTHING_RETURNED
    assert_child_is_hidden(shared, "schools")


async def test_twin_a_question_that_is_not_blinded_shows_its_child(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:

    def unblinded(*args: Any) -> Question:
        made = build_question(*args)
        blinds = (ONE,) * SLOTS
        return replace(made, blinds=blinds, blinded=tuple(voprf.blind(made.inputs, blinds)))

    monkeypatch.setattr(node.asking.questions, "build_question", unblinded)
    await shared.tap.ask(shared.made, ask(QUILLA))

    with pytest.raises(AssertionError, match="not hidden"):
        assert_child_is_hidden(shared, "schools")


async def test_twin_a_question_that_reveals_without_a_hit_shows_its_child(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Part, "find_reveals", reveal_anyway(Part.find_reveals))
    await shared.tap.ask(shared.made, ask(YSOLDE))

    with pytest.raises(AssertionError, match="a key or tag is in what was opened"):
        assert_child_is_hidden(shared, "hospital")
    with pytest.raises(AssertionError, match="not of its own"):
        assert_own_records_only(shared, "police")


def reveal_anyway(find_reveals: Callable[..., Any]) -> Callable[..., Any]:
    """What an altered searcher would do: reveal real keys whether or not anything was hit."""

    def find(part: Part, reply: Any, held: Any) -> Any:
        _, ruling = find_reveals(part, reply, held)
        tags = voprf.unblind_tags(part.question.inputs, part.question.blinds, reply.elements)
        slots = [slot for slot, index in enumerate(part.question.key_of_slot) if index is not None][-4:]
        return tuple(Reveal(slot, tags[slot], part.question.blinds[slot]) for slot in slots), ruling

    return find


def replay() -> Callable[[int], bytes]:
    """Random bytes that are the same each time."""
    count = iter(range(10**6))
    return lambda size: hashlib.shake_256(next(count).to_bytes(4)).digest(size)


def request_about(shared: Shared, asked: Ask) -> EvaluateRequest:
    """What a custodian would be asked, made with the same randomness each time but for the question's own."""
    maker, now = shared.made.nodes["social"].searcher._parts.exchange.maker, shared.now
    fixed = replace(maker, random=replay(), clock=lambda: now)
    prepared = fixed.prepare(asked, maker.new_secrets(asked), now)
    member = maker.trust.roster.active("schools")
    route = fixed.route(member, fixed.collection(asked, member, now), now)
    assert route is not None
    return fixed.part(asked, prepared, route, Head(0), bytes(16)).request


def assert_independent_of_child(one: EvaluateRequest, other: EvaluateRequest) -> None:
    """Only elements and commitment may follow from the child."""
    for each in fields(EvaluateRequest):
        if each.name not in ("elements", "commitment"):
            assert getattr(one, each.name) == getattr(other, each.name), each.name
    assert not set(one.elements) & set(other.elements)
    assert one.commitment != other.commitment


async def test_nothing_else_in_a_question_follows_from_the_child(shared: Shared) -> None:
    nameless = replace(ask(QUILLA, asker=ASKER), person=Person.of(nhs_number=QUILLA_NHS))
    first = request_about(shared, ask(QUILLA, asker=ASKER))

    for asked in (*(ask(child, asker=ASKER) for child in POPULATION), nameless):
        assert_independent_of_child(first, request_about(shared, asked))


async def test_twin_a_case_reference_that_follows_from_the_child_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = QuestionMaker.part

    def telling(maker: QuestionMaker, asked: Ask, *rest: Any) -> Part:
        return part(maker, replace(asked, case_reference=asked.person.names[0].family), *rest)

    monkeypatch.setattr(QuestionMaker, "part", telling)

    one, other = (request_about(shared, ask(child, asker=ASKER)) for child in (QUILLA, DORRAN))

    with pytest.raises(AssertionError, match="terms"):
        assert_independent_of_child(one, other)


async def second_rounds(shared: Shared) -> list[RedeemRequest]:
    """What the schools open in round two of lookups about children they do not know, variously described."""
    nameless = Person.of(nhs_number=QUILLA_NHS)
    redeems = []
    for asked in (ask(QUILLA), ask(DORRAN), replace(ask(QUILLA), person=nameless)):
        await shared.tap.ask(shared.made, asked)
        redeems += shared.tap.redeems("schools")
    return redeems


def assert_all_alike(redeems: Sequence[RedeemRequest]) -> None:
    """They say the same, but for what is random."""
    assert len(redeems) == 3
    plain = [replace(redeem, nonce=bytes(16), request_digest=bytes(32)) for redeem in redeems]
    assert plain == [plain[0]] * 3


async def test_a_second_round_with_no_hit_does_not_say_how_the_child_was_described(shared: Shared) -> None:
    assert_all_alike(await second_rounds(shared))


async def test_twin_a_second_round_that_always_says_what_was_asked_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = Part.seal_redeem

    def telling(part: Part, reveals: Any, *, names_asked: bool, random: Any) -> bytes:
        with monkeypatch.context() as patch:

            def say(digest: bytes, nonce: bytes, reveals: tuple[Reveal, ...], _: bool) -> RedeemRequest:
                return RedeemRequest(digest, nonce, reveals, names_asked)

            patch.setattr(node.asking.part, "RedeemRequest", say)
            return seal(part, reveals, names_asked=names_asked, random=random)

    monkeypatch.setattr(Part, "seal_redeem", telling)

    with pytest.raises(AssertionError):
        assert_all_alike(await second_rounds(shared))


def assert_own_records_only(shared: Shared, custodian: str) -> None:
    """What is revealed opens slots with keys of its own records, and no other slot can be opened with it."""
    ((request,), (redeem,)) = shared.tap.requests(custodian), shared.tap.redeems(custodian)
    assert 1 <= len(redeem.reveals) <= 4
    revealed = {reveal.slot for reveal in redeem.reveals}
    with shared.made.nodes[custodian]._store.read() as connection:
        for reveal in redeem.reveals:
            holders = find_tag(connection, request.collection, request.epoch, reveal.tag)
            assert holders, "a tag is not of its own records"
            for record, ordinal in holders:
                keys = [key.data for key in record_keys(record.person, with_postcode=record.with_postcode)]
                assert voprf.opens(keys[ordinal], reveal.blind, request.elements[reveal.slot])
                opened = {
                    slot
                    for slot, element in enumerate(request.elements)
                    if any(voprf.opens(key, reveal.blind, element) for key in keys)
                }
                assert opened <= revealed


async def test_a_custodian_that_knows_the_child_learns_who_asked_why_and_about_which_record(
    shared: Shared,
) -> None:
    lookup = await shared.tap.ask(shared.made, ask(QUILLA, purpose="MASH_TRIAGE"))

    assert lookup.state("police") is State.KNOWN_CURRENT
    assert_own_records_only(shared, "police")
    with shared.made.nodes["police"]._store.read() as connection:
        newest = select(log.c.body, log.c.digest).order_by(log.c.seq.desc()).limit(1)
        row = connection.execute(newest).one()
        about = select(subject.c.records).where(subject.c.digest == row.digest)
        records = json.loads(connection.execute(about).scalar_one())
    entry = json.loads(row.body)
    assert (entry["counterparty"], entry["purpose"]) == ("social", "MASH_TRIAGE")
    assert records == [["cases", "police-0"]]
    # The body itself names nobody: destroying the salted row beside it erases the person from the log.
    assert b"police-0" not in row.body


def assert_nothing_of_others(shared: Shared, custodian: str, others: Sequence[str]) -> None:
    """Two dispatches arrive, and nothing in them names another custodian or belongs to its part."""
    arrived = [frame for agency, frame in shared.tap.arrived if agency == custodian]
    kinds = [kind for frame in arrived if (kind := frame.WhichOneof("frame")) != "beat"]
    assert kinds == ["dispatch", "dispatch"]
    (mine,) = shared.tap.requests(custodian)
    opened = b"".join(payload for agency, _, payload in shared.tap.opened if agency == custodian)
    opened += b"".join(frame.SerializeToString() for frame in arrived)
    for other in others:
        (theirs,) = shared.tap.requests(other)
        private = (other.encode(), theirs.lookup_id, theirs.nonce, theirs.reply_key, theirs.terms.pseudonym)
        assert not any(value in opened for value in private)
        assert mine.terms.case_reference != theirs.terms.case_reference


async def test_a_custodian_learns_nothing_of_what_others_answered_or_who_was_asked(shared: Shared) -> None:
    for child in (QUILLA, DORRAN):
        lookup = await shared.tap.ask(shared.made, ask(child))
        assert lookup.state("police") is State.KNOWN_CURRENT
        assert_nothing_of_others(shared, "police", ("hospital", "schools"))
        assert_nothing_of_others(shared, "schools", ("hospital", "police"))


async def test_twin_a_gateway_that_tells_a_custodian_what_others_answered_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Lookups._send

    def tell_all(lookups: Lookups, link: Link, outcome: Any) -> None:
        send(lookups, link, outcome)
        police = lookups._links.get("police")
        assert police is not None
        send(lookups, police, outcome)

    monkeypatch.setattr(Lookups, "_send", tell_all)
    await shared.tap.ask(shared.made, ask(QUILLA))

    with pytest.raises(AssertionError):
        assert_nothing_of_others(shared, "police", ("hospital", "schools"))


async def requests_of_two_lookups(shared: Shared) -> dict[str, list[EvaluateRequest]]:
    """By custodian, what it was asked in two lookups of one practitioner."""
    found: dict[str, list[EvaluateRequest]] = {"police": [], "hospital": []}
    for child in (QUILLA, YSOLDE):
        await shared.tap.ask(shared.made, ask(child, asker=ASKER))
        for custodian, requests in found.items():
            requests += shared.tap.requests(custodian)
    return found


def assert_known_by_pseudonym_only(found: Mapping[str, Sequence[EvaluateRequest]]) -> None:
    """One practitioner is one pseudonym here and another there; nothing else is shared by custodians but the
    question itself, nor by lookups."""
    (first, second), (other, _) = found["police"], found["hospital"]
    assert first.terms.pseudonym == second.terms.pseudonym, "not stable at one custodian"
    assert first.terms.case_reference == second.terms.case_reference
    assert first.terms.pseudonym != other.terms.pseudonym, "the same pseudonym at two custodians"
    assert first.terms.case_reference != other.terms.case_reference
    for name in ("lookup_id", "nonce", "reply_key"):
        values = {getattr(request, name) for requests in found.values() for request in requests}
        assert len(values) == 4, f"{name} is shared"
    assert (first.elements, first.commitment) == (other.elements, other.commitment)
    assert not set(first.elements) & set(second.elements)


async def test_a_practitioner_has_one_pseudonym_at_each_custodian_and_another_at_the_next(
    shared: Shared,
) -> None:
    assert_known_by_pseudonym_only(await requests_of_two_lookups(shared))


async def test_twin_one_pseudonym_for_all_is_caught(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    make = node.asking.questions.pseudonym
    monkeypatch.setattr(node.asking.questions, "pseudonym", lambda key, _, *rest: make(key, "anybody", *rest))

    with pytest.raises(AssertionError, match="the same pseudonym"):
        assert_known_by_pseudonym_only(await requests_of_two_lookups(shared))


async def test_twin_one_nonce_for_all_custodians_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_part = QuestionMaker.part

    def part(maker: QuestionMaker, asked: Ask, prepared: Any, *rest: Any) -> Part:
        made = make_part(maker, asked, prepared, *rest)
        made.request = replace(made.request, nonce=prepared.question.commitment[:16])
        return made

    monkeypatch.setattr(QuestionMaker, "part", part)

    with pytest.raises(AssertionError, match="nonce is shared"):
        assert_known_by_pseudonym_only(await requests_of_two_lookups(shared))
