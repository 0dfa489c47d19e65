"""A gateway that asks by itself or shows false documents, and members that are members no longer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from elsewhere.agreement.document import sign_agreement
from elsewhere.asking import Coverage, State
from elsewhere.canonical import canonical_json
from elsewhere.errors import AskInvalid, NotActive
from elsewhere.roster import Member, Roster, Steward
from elsewhere.sealing import SealingKey
from elsewhere.signing import SigningKey
from elsewhere.statement import KeyStatement, SealingKeyEntry, sign_statement
from elsewhere.succession import read_roster, sign_roster
from elsewhere.wire.v1 import directory_pb2, link_pb2
from gateway.folder import Keys
from tests import partnership
from tests.fault.rig import (
    Relay,
    altered,
    check_absent,
    check_healed,
    kept,
    made_part,
    sealed_of,
    somebody,
    until,
)
from tests.federation import Federation
from tests.partnership import KEYS as STEWARDS

pytestmark = pytest.mark.asyncio(loop_scope="module")
GATEWAYS_OWN = SigningKey(bytes(range(32)))
GATEWAYS_SEALING = SealingKey(bytes(range(96)))


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Relay:
    return Relay(monkeypatch)


def _dispatch(number: int, searcher: str, lookup_id: bytes, sealed: bytes) -> link_pb2.AttachResponse:
    return link_pb2.AttachResponse(
        dispatch=link_pb2.Dispatch(
            route=bytes([number]) * 16,
            round=1,
            searcher=searcher,
            lookup_id=lookup_id,
            sealed=sealed,
            remaining_ms=3000,
        )
    )


async def test_a_gateway_cannot_ask_for_itself_or_as_a_member(made: Federation, relay: Relay) -> None:
    police = made.nodes["police"]
    before = kept(police)
    asked = 0
    for searcher in ("social", "hospital", "gateway"):
        # It knows everything that is public, and has no member's signing key.
        for signer in (GATEWAYS_OWN, Keys.load(made.folder / "gw").gateway):
            part = await made_part(made.nodes["social"], "police")
            part.signer, part.request = signer, replace(part.request, searcher=searcher)
            asked += 1
            frame = _dispatch(asked, searcher, part.request.lookup_id, part.seal_question())
            with capture_logs() as logs:
                assert (await relay.hand(made, frame)).refused
            code = "roster.not_active" if searcher == "gateway" else "signature.invalid"
            assert [(e["event"], e["code"]) for e in logs if "code" in e] == [("question.refused", code)]
    assert kept(police) == before
    await check_healed(made)


async def test_an_old_question_sent_again_tells_the_gateway_nothing(made: Federation, relay: Relay) -> None:
    police = made.nodes["police"]
    await made.ask("social", somebody())
    question = relay.of("question", "police")[-1]
    before = kept(police)
    again = await relay.hand(made, altered(question, route=bytes([60]) * 16))
    # The same bytes, sealed to a key that only the searcher ever had and has forgotten.
    assert again.sealed in {sealed_of(frame) for frame in relay.of("reply", "social")}
    assert (await relay.hand(made, altered(question, route=bytes([61]) * 16, searcher="hospital"))).refused
    assert kept(police) == before


Documents = Callable[[Federation], dict[str, Any]]


def _roster(made: Federation) -> Roster:
    envelope = (made.folder / "gw" / "roster.json").read_bytes()
    return read_roster(envelope)


def _operators(made: Federation) -> SigningKey:
    """The key of the gateway's own that the roster lists."""
    return Keys.load(made.folder / "gw").gateway


def _held(made: Federation, agency: str) -> KeyStatement:
    return made.nodes["social"].trust.statements[agency]


def _its_own_keys(made: Federation) -> KeyStatement:
    """The statement of the police with the gateway's keys in place of theirs."""
    held = _held(made, "police")
    entry = SealingKeyEntry(GATEWAYS_SEALING.public, held.sealing_keys[0].not_after_utc)
    return replace(held, version=held.version + 1, sealing_keys=(entry,))


def _signed(key: SigningKey) -> Documents:
    return lambda made: {"statements": [sign_statement(key, _its_own_keys(made))]}


def _signed_by_hospital(made: Federation) -> dict[str, Any]:
    return {"statements": [sign_statement(made.nodes["hospital"].keys.view.signing, _its_own_keys(made))]}


def _another_statement_of_one_version(made: Federation) -> dict[str, Any]:
    other = replace(_its_own_keys(made), version=_held(made, "police").version)
    return {"statements": [sign_statement(made.nodes["police"].keys.view.signing, other)]}


def _swapped(made: Federation, keys: Sequence[SigningKey], **changes: Any) -> dict[str, Any]:
    """The next roster, in which the police have the gateway's signing key."""
    roster = _roster(made)
    members = tuple(
        replace(m, signing_key=GATEWAYS_OWN.public) if m.agency_id == "police" else m for m in roster.members
    )
    terms: dict[str, Any] = {"version": roster.version + 1, "previous_digest": roster.digest} | changes
    return {"roster": sign_roster(keys, replace(roster, members=members, **terms))}


def _next(made: Federation, keys: Sequence[SigningKey], **changes: Any) -> dict[str, Any]:
    """A roster after the one in force, otherwise changed."""
    roster = _roster(made)
    terms: dict[str, Any] = {"version": roster.version + 1, "previous_digest": roster.digest} | changes
    return {"roster": sign_roster(keys, replace(roster, **terms))}


def _repeated(made: Federation, key: SigningKey) -> dict[str, Any]:
    """Signed by one steward, three times over."""
    envelope = json.loads(_next(made, [key])["roster"])
    return {"roster": canonical_json({**envelope, "signatures": 3 * envelope["signatures"]})}


def _member_added(made: Federation) -> dict[str, Any]:
    spy = Member("spy", "Spy", "POLICE", "Spy", "active", GATEWAYS_OWN.public)
    return _next(made, [_operators(made)], members=(*_roster(made).members, spy))


def _member_dropped(made: Federation) -> dict[str, Any]:
    return _next(made, [_operators(made)], members=_roster(made).members[1:])


def _own_stewards(made: Federation) -> dict[str, Any]:
    """A roster under which the operator would decide, signed by stewards of its own and one of ours."""
    keys = [GATEWAYS_OWN, _operators(made)]
    stewards = tuple(Steward(f"own-{n}", "Own", key.public) for n, key in enumerate(keys))
    version = _roster(made).version + 1
    return _next(made, [*keys, STEWARDS[0]], stewards=stewards, quorum=2, stewards_since=version)


def _stewards_unsaid(made: Federation) -> dict[str, Any]:
    """One that all have signed, and in which one steward is another without a word."""
    *others, last = _roster(made).stewards
    return _next(made, STEWARDS, stewards=(*others, replace(last, key=GATEWAYS_OWN.public)))


def _stewards_changed_unseen(made: Federation) -> dict[str, Any]:
    """One under stewards of whom the node was not shown how they came to be."""
    version = _roster(made).version
    return _next(made, STEWARDS, version=version + 2, stewards_since=version + 1)


def _roster_before(made: Federation) -> dict[str, Any]:
    roster = _roster(made)
    old = replace(roster, version=roster.version - 1, previous_digest=bytes(32))
    return {"roster": sign_roster(STEWARDS, old)}


def _agreement(made: Federation, keys: Sequence[SigningKey], by: int) -> dict[str, Any]:
    held = made.nodes["social"].trust.agreement
    assert held is not None
    other = replace(held, title="Everything is permitted", version=held.version + by)
    return {"agreement": sign_agreement(keys, other)}


@pytest.mark.parametrize(
    ("documents", "code"),
    [
        (_signed(GATEWAYS_OWN), "signature.invalid"),
        (lambda made: _signed(_operators(made))(made), "signature.invalid"),
        (_signed_by_hospital, "signature.invalid"),
        (_another_statement_of_one_version, "statement.rollback"),
        (lambda made: _swapped(made, [GATEWAYS_OWN]), "signature.invalid"),
        (lambda made: _swapped(made, [_operators(made)]), "signature.invalid"),
        (lambda made: _swapped(made, [_operators(made), *STEWARDS[:2]]), "signature.invalid"),
        (lambda made: _repeated(made, STEWARDS[0]), "signature.invalid"),
        (_member_added, "signature.invalid"),
        (_member_dropped, "signature.invalid"),
        (_own_stewards, "signature.invalid"),
        (_stewards_unsaid, "document.invalid"),
        (_stewards_changed_unseen, "roster.gap"),
        (lambda made: _swapped(made, STEWARDS, previous_digest=bytes(32)), "roster.forked"),
        (lambda made: _swapped(made, STEWARDS, version=_roster(made).version), "roster.forked"),
        (lambda made: _swapped(made, STEWARDS, federation="southshire"), "roster.forked"),
        (_roster_before, "roster.rollback"),
        (lambda made: _agreement(made, [GATEWAYS_OWN], 1), "signature.invalid"),
        (lambda made: _agreement(made, STEWARDS[:2], 1), "signature.invalid"),
        (lambda made: _agreement(made, STEWARDS, 0), "agreement.rollback"),
        (lambda made: {"roster": b"{}"}, "signature.invalid"),
        (lambda made: {"agreement": bytes(100)}, "signature.invalid"),
        (lambda made: {"statements": [b"[]", b"{", b""]}, "signature.invalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_false_documents_change_nothing_and_are_logged(
    made: Federation, documents: Documents, code: str
) -> None:
    social, gateway = made.nodes["social"], made.gateway
    assert gateway is not None
    trust = social.trust
    before = (trust.roster, trust.agreement, dict(trust.statements), _files(trust.folder))
    link = gateway.links.get("social")
    assert link is not None
    with capture_logs() as logs:
        link.send(link_pb2.AttachResponse(directory=directory_pb2.Directory(**documents(made))))
        await until(lambda: any(entry["event"] == "directory.refused" for entry in logs))
    refused = next(entry for entry in logs if entry["event"] == "directory.refused")
    assert code in refused["codes"]
    assert (trust.roster, trust.agreement, dict(trust.statements), _files(trust.folder)) == before
    await check_healed(made)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}


async def _show_only(made: Federation, agency: str, gw: Path) -> None:
    """Let one node see a roster that the gateway does not know yet."""
    assert made.gateway is not None
    envelope = (gw / "roster.json").read_bytes()
    link = made.gateway.links.get(agency)
    assert link is not None
    link.send(link_pb2.AttachResponse(directory=directory_pb2.Directory(roster=envelope)))
    version = read_roster(envelope).version
    await until(lambda: made.nodes[agency].trust.roster.version == version)


async def test_a_custodian_refuses_a_suspended_member_on_its_standing_link_as_soon_as_it_sees_the_roster(
    made: Federation, tmp_path: Path
) -> None:
    police = made.nodes["police"]
    before = kept(police)
    stewards = tmp_path / "gw"
    shutil.copytree(made.folder / "gw", stewards, ignore=shutil.ignore_patterns("*.sock"))
    partnership.set_state(stewards, "social", "suspended", now=datetime.now(UTC))
    await _show_only(made, "police", stewards)
    with capture_logs() as logs:
        found = await made.ask("social", somebody())
    check_absent(found, police=State.ERROR)
    assert found.answers["police"].code == "request.refused"
    assert [entry["code"] for entry in logs if entry["event"] == "question.refused"] == ["roster.not_active"]
    assert kept(police) == before

    partnership.set_state(stewards, "social", "active", now=datetime.now(UTC))
    shutil.copy(stewards / "roster.json", made.folder / "gw" / "roster.json")
    version = _roster(made).version
    await until(lambda: all(node.trust.roster.version == version for node in made.nodes.values()))
    await check_healed(made)


async def test_a_member_suspended_between_the_rounds_gets_no_answer(
    made: Federation, relay: Relay, tmp_path: Path
) -> None:
    police = made.nodes["police"]
    before = kept(police)
    stewards = tmp_path / "gw"
    shutil.copytree(made.folder / "gw", stewards, ignore=shutil.ignore_patterns("*.sock"))
    partnership.set_state(stewards, "social", "suspended", now=datetime.now(UTC))
    roster = (stewards / "roster.json").read_bytes()
    show = link_pb2.AttachResponse(directory=directory_pb2.Directory(roster=roster))
    relay.down = lambda to, f: (show, f) if to == "police" and f.dispatch.round == 2 else (f,)
    found = await made.ask("social", somebody())
    check_absent(found, police=State.ERROR)
    assert found.answers["police"].code == "request.refused"
    assert kept(police) == (before[0] + 1, before[1])
    relay.down = lambda agency, frame: (frame,)
    partnership.set_state(stewards, "social", "active", now=datetime.now(UTC))
    shutil.copy(stewards / "roster.json", made.folder / "gw" / "roster.json")
    version = _roster(made).version
    await until(lambda: all(node.trust.roster.version == version for node in made.nodes.values()))
    await check_healed(made)


async def test_the_node_of_a_suspended_member_says_so_to_whoever_asks(made: Federation) -> None:
    social = made.nodes["social"]
    partnership.set_state(made.folder / "gw", "social", "suspended", now=datetime.now(UTC))
    await until(lambda: social.links[0].refusal == NotActive.code)
    with pytest.raises(NotActive):
        await made.ask("social", somebody())
    assert not social.status().is_ready
    partnership.set_state(made.folder / "gw", "social", "active", now=datetime.now(UTC))
    await check_healed(made)


async def test_a_suspended_custodian_is_asked_nothing_and_cannot_be_named(made: Federation) -> None:
    social, police = made.nodes["social"], made.nodes["police"]
    before = kept(police)
    partnership.set_state(made.folder / "gw", "police", "suspended", now=datetime.now(UTC))
    await until(lambda: not social.trust.is_active("police"))
    found = await made.ask("social", somebody())
    assert set(found.answers) == {"hospital"}
    assert found.coverage is Coverage.COMPLETE
    with pytest.raises(AskInvalid):
        await made.ask("social", somebody(custodians=("police",)))
    assert kept(police) == before
    partnership.set_state(made.folder / "gw", "police", "active", now=datetime.now(UTC))
    await until(lambda: social.trust.is_active("police"))
    await check_healed(made)
