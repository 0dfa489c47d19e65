"""What a searcher learns: of a child that its keys do not meet, or that is shielded from it, nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

import node.answering.answer
import node.answering.custodian
import node.answering.redeem
import node.caseload.tagging
import node.caseload.workers
from elsewhere import matchkeys
from elsewhere.asking import CustodianAnswer, State
from elsewhere.canonical import Json
from elsewhere.catalogue.tags import short_tags
from elsewhere.lookup import Answer, AnswerState, Contact, Decision, EvaluateReply, RedeemReply, Reveal
from elsewhere.matchkeys import MatchKey, record_keys
from elsewhere.oprf import voprf
from elsewhere.receipt import RECEIPT_TYPE
from elsewhere.signing import open_document
from node.asking.part import Part
from node.store.exchange import log, subject
from tests.federation import Federation, person
from tests.privacy.people import DORRAN, QUILLA, YSOLDE, ask
from tests.privacy.transcript import Transcript, tapped

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A child adopted under another name, and one whose whereabouts nobody may learn.
ADOPTED = {"given": "Marrowyn", "family": "Ostlethwaite", "dob": "08/05/2014", "postcode": "AB2 7RT"}
HIDING = {"given": "Perpetuana", "family": "Dravenshore", "dob": "19/09/2011", "postcode": "AB7 4KP"}
DETAILS = {"service": "Lighthouse refuge", "phone": "0000 000 777", "seen": "01/11/2026", "cp": "Y"}
SHIELDED = [{**ADOPTED, "shield": "adopted", **DETAILS}, {**HIDING, "shield": "place", **DETAILS}]


@dataclass
class Shared:
    made: Federation
    tap: Transcript


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """Police hold all; the hospital is the broken twin, whose load ignores shields. Dorran is removed."""
    async with tapped(tmp_path_factory.mktemp("federation")) as (made, tap):
        rare = {"catalogue": {"tick_s": 60}}
        made.join("social", [], **rare)
        made.join("police", [QUILLA, *SHIELDED, DORRAN], **rare)
        with pytest.MonkeyPatch.context() as patch:
            derive = node.caseload.workers.derive
            patch.setattr(node.caseload.workers, "is_tagged", lambda *_: True)
            patch.setattr(
                node.caseload.tagging,
                "derive",
                lambda sets, records: derive(sets, [replace(one, shield="NONE") for one in records]),
            )
            made.join("hospital", SHIELDED, **rare)
        await made.start("social", "police", "hospital")
        assert (await made.ask("social", ask(DORRAN, "police"))).state("police") is State.KNOWN_CURRENT
        made.load("police", [QUILLA, *SHIELDED])
        yield Shared(made, tap)


@dataclass(frozen=True)
class Told:
    """All that a searcher has of one custodian's part, but for what is random or a time."""

    ruling: Any
    published: Any
    answer: Answer
    receipt: Mapping[str, Json]
    shown: CustodianAnswer


async def told(shared: Shared, child: Mapping[str, str], purpose: str) -> Told:
    """Ask the police and take down what they say."""
    lookup = await shared.tap.ask(shared.made, ask(child, "police", purpose=purpose))
    (_, first), (_, second) = shared.tap.told
    assert isinstance(first, EvaluateReply)
    assert isinstance(second, RedeemReply)
    public = shared.made.nodes["social"].trust.roster.active("police").signing_key
    receipt = open_document(second.receipt, RECEIPT_TYPE, [public])
    assert isinstance(receipt, dict)
    varying = ("request_digest", "elements", "commitment", "leaf", "call_reference", "time_utc")
    kept = {name: value for name, value in receipt.items() if name not in varying}
    shown = replace(lookup.answers["police"], call_reference="", receipt=b"", elapsed_ms=0)
    return Told(first.ruling, first.published, second.answer, kept, shown)


def assert_nothing_told(found: Sequence[Told]) -> None:
    """Nothing was returned, and always in the same words."""
    assert found[0].answer == Answer(AnswerState.NOTHING_RETURNED)
    assert found[0].shown.state is State.NOTHING_RETURNED
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("purpose", ["S47_ENQUIRY", "MASH_TRIAGE"])
async def test_absent_removed_and_shielded_children_are_told_apart_by_nothing(
    shared: Shared, purpose: str
) -> None:
    found = [await told(shared, child, purpose) for child in (YSOLDE, ADOPTED, DORRAN)]

    assert_nothing_told(found)
    assert_nothing_told([found[0], await told(shared, YSOLDE, purpose)])


async def test_a_child_in_hiding_is_as_absent_for_every_other_purpose(shared: Shared) -> None:
    assert_nothing_told([await told(shared, child, "MASH_TRIAGE") for child in (YSOLDE, HIDING)])


async def test_twin_a_hint_about_a_removed_child_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    redeem = node.answering.redeem.redeem

    def hinting(connection: Any, rounds: Any, **rest: Any) -> node.answering.redeem.Redeemed:
        found = redeem(connection, rounds, **rest)
        if rounds.asked.reveals and found.answer.state is AnswerState.NOTHING_RETURNED:
            return replace(found, answer=replace(found.answer, source_age_days=1))
        return found

    monkeypatch.setattr(node.answering.custodian, "redeem", hinting)
    found = [await told(shared, child, "S47_ENQUIRY") for child in (YSOLDE, DORRAN)]

    with pytest.raises(AssertionError):
        assert_nothing_told(found)


def assert_call_back_alone(found: Told) -> None:
    """That somebody is to be called, and at which tier; nothing that leads to a place."""
    assert found.answer == Answer(AnswerState.CALL_BACK, tier=found.answer.tier)
    shown = found.shown
    assert shown.state is State.CALL_BACK
    assert (shown.strength, shown.last_contact_band, shown.flags, shown.contact) == ("", "", (), Contact())
    assert (shown.source_age_days, shown.source_stale) == (0, False)


async def test_a_child_in_hiding_is_a_call_back_and_nothing_else_for_the_purposes_that_may(
    shared: Shared,
) -> None:
    for purpose in ("S47_ENQUIRY", "STRATEGY_DISCUSSION", "EMERGENCY_PROTECTION"):
        assert_call_back_alone(await told(shared, HIDING, purpose))


async def test_twin_a_call_back_that_names_its_service_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = node.answering.answer.compose

    def naming(verdict: Any, records: Any, *rest: Any) -> Answer:
        answer = compose(verdict, records, *rest)
        return replace(answer, contact=Contact(records[0].service)) if records else answer

    monkeypatch.setattr(node.answering.redeem, "compose", naming)

    with pytest.raises(AssertionError):
        assert_call_back_alone(await told(shared, HIDING, "S47_ENQUIRY"))


def listed(shared: Shared, custodian: str, collection: str, keys: Sequence[MatchKey]) -> list[bool]:
    """Which keys the searcher's copy of a catalogue holds."""
    oprf = shared.made.nodes[custodian].keys.view.oprf[collection, 1]
    held = shared.made.nodes["social"].peers.held(custodian, collection, 1)
    assert held is not None
    return held.contains_each(short_tags(voprf.tag_each(oprf, [key.data for key in keys])))


def assert_identity_is_in_no_catalogue(shared: Shared, custodian: str) -> None:
    for collection in ("involvement", "protected"):
        assert not any(listed(shared, custodian, collection, record_keys(person(ADOPTED)))), collection


def assert_place_is_in_no_catalogue(shared: Shared, custodian: str) -> None:
    """The collection that all may ask has no tag of the child; the other has none made of a postcode."""
    keys = record_keys(person(HIDING))
    with_place = {rule.id for rule in matchkeys.rules() if rule.has_postcode}
    placed = [key for key in keys if key.rule in with_place]
    assert len(placed) > 3
    assert not any(listed(shared, custodian, "involvement", keys)), "involvement"
    assert not any(listed(shared, custodian, "protected", placed)), "postcode"


async def test_a_shielded_child_is_in_no_catalogue_where_it_could_be_guessed(shared: Shared) -> None:
    assert_identity_is_in_no_catalogue(shared, "police")
    assert_place_is_in_no_catalogue(shared, "police")
    unplaced = record_keys(person(HIDING), with_postcode=False)
    assert all(listed(shared, "police", "protected", unplaced))
    assert all(listed(shared, "police", "involvement", record_keys(person(QUILLA))))


async def test_twin_a_load_that_ignores_shields_is_caught(shared: Shared) -> None:
    with pytest.raises(AssertionError):
        assert_identity_is_in_no_catalogue(shared, "hospital")
    with pytest.raises(AssertionError, match="involvement"):
        assert_place_is_in_no_catalogue(shared, "hospital")


async def keep_reveals(shared: Shared) -> tuple[Reveal, ...]:
    """Ask honestly about a child that the police know, and keep what was revealed."""
    await shared.tap.ask(shared.made, ask(QUILLA, "police", purpose="STRATEGY_DISCUSSION"))
    (redeem,) = shared.tap.redeems("police")
    assert redeem.reveals
    return redeem.reveals


def redeem_kept(kept: tuple[Reveal, ...], find: Callable[..., Any]) -> Callable[..., Any]:
    """A searcher that reveals what it kept, whatever it asked."""

    def find_reveals(part: Part, reply: Any, held: Any) -> Any:
        _, ruling = find(part, reply, held)
        assert ruling.decision is Decision.PERMIT
        return kept, ruling

    return find_reveals


async def redeem_elsewhere(shared: Shared, patch: pytest.MonkeyPatch) -> list[tuple[State, Any]]:
    """Redeem kept tags in questions about another child, for another purpose, and by another agency; gives
    each answer, and whom the custodian's log says it was about."""
    kept = await keep_reveals(shared)
    found = []
    with patch.context() as kept_patch:
        kept_patch.setattr(Part, "find_reveals", redeem_kept(kept, Part.find_reveals))
        for searcher, child, purpose in (
            ("social", YSOLDE, "STRATEGY_DISCUSSION"),
            ("social", QUILLA, "S47_ENQUIRY"),
            ("social", YSOLDE, "MASH_TRIAGE"),
            ("hospital", YSOLDE, "STRATEGY_DISCUSSION"),
        ):
            asked = ask(child, "police", purpose=purpose)
            lookup = await shared.tap.ask(shared.made, asked, searcher=searcher)
            found.append((lookup.state("police"), newest_subjects(shared)))
    return found


def newest_subjects(shared: Shared) -> list[Any]:
    """Whom the newest entry of the police's log is about."""
    with shared.made.nodes["police"]._store.read() as connection:
        newest = select(subject.c.records).join(log, log.c.digest == subject.c.digest)
        query = newest.where(log.c.kind == "answered").order_by(log.c.seq.desc()).limit(1)
        records: list[Any] = json.loads(connection.execute(query).scalar_one())
    return records


def assert_kept_is_useless(found: Sequence[tuple[State, Any]]) -> None:
    assert found == [(State.NOTHING_RETURNED, [])] * 4


async def test_tags_kept_from_another_question_purpose_or_agency_open_nothing(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_kept_is_useless(await redeem_elsewhere(shared, monkeypatch))


async def test_twin_a_redeem_that_is_not_bound_to_its_question_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voprf, "opens", lambda *_: True)
    found = await redeem_elsewhere(shared, monkeypatch)

    assert (State.KNOWN_CURRENT, [["cases", "police-0"]]) in found
    with pytest.raises(AssertionError):
        assert_kept_is_useless(found)
