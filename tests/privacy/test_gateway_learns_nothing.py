"""The gateway relays lookups and learns nothing of them: no value, no size, no link between two."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

import gateway.lookups
import node.links.link
from elsewhere import matchkeys, sealing
from elsewhere.asking import State
from elsewhere.wire import envelope
from elsewhere.wire.convert import link
from tests.federation import Federation
from tests.privacy.canaries import assert_absent, files_of, memory_of
from tests.privacy.people import ASKER, CASE, DORRAN, QUILLA, QUILLA_NHS, YSOLDE, ask, words_of
from tests.privacy.transcript import Frame, Transcript, tapped

pytestmark = pytest.mark.asyncio(loop_scope="module")

PURPOSES = ("S47_ENQUIRY", "CIN_ASSESSMENT", "MISSING_CHILD", "UNSCHEDULED_CARE")
# What two lookups may share on the wire: the agencies' names and, around them, protobuf's own numbers. A
# field is one byte of number and kind, then one or two of length; 16, 5,232, 3,184 and 9,328 bytes are 10,
# f028, f018 and f048.
PUBLIC = (
    b"\x1a\x8d\x29\x0a\x06police\x12\x10",  # Ask: a Question of 5,261 bytes, custodian, a lookup id follows
    b"\x1a\x8f\x29\x0a\x08hospital\x12\x10",
    b"\x12\x06police\x1a\xf0\x18",  # Redeem: custodian, the sealed message follows
    b"\x12\x08hospital\x1a\xf0\x18",
    b"\x10\x01\x1a\x06social\x22\x10",  # Dispatch: round one, searcher, the lookup id follows
    b"\x10\x02\x1a\x06social\x22\x10",
    b"\x12\x06police\x18\x01\x22\xf0\x28",  # Outcome: custodian, round one, the sealed reply follows
    b"\x12\x06police\x18\x02\x22\xf0\x48",
    b"\x12\x08hospital\x18\x01\x22\xf0\x28",
    b"\x12\x08hospital\x18\x02\x22\xf0\x48",
)
RUN = 8  # bytes in common that count


@dataclass
class Watched:
    made: Federation
    tap: Transcript


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    async with tapped(tmp_path_factory.mktemp("federation")) as (made, tap):
        rare = {"catalogue": {"tick_s": 60}}
        made.join("social", [], **rare)
        made.join("police", [{**QUILLA, "nhs": QUILLA_NHS}, DORRAN], **rare)
        made.join("hospital", [QUILLA], policy={"denied_purposes": ["MISSING_CHILD"]}, **rare)
        await made.start("social", "police", "hospital")
        yield Watched(made, tap)


@dataclass
class Seen:
    """What the gateway saw of some lookups, and what it must not have seen."""

    frames: list[Frame] = field(default_factory=list)
    haystacks: list[tuple[str, bytes]] = field(default_factory=list)
    secrets: dict[str, bytes | str] = field(default_factory=dict)
    states: set[State] = field(default_factory=set)


async def several_lookups(shared: Watched) -> Seen:
    """Ask about three children for four purposes: found, not found and denied."""
    seen = Seen()
    for child, purpose in zip((QUILLA, DORRAN, QUILLA, YSOLDE), PURPOSES, strict=True):
        nhs = QUILLA_NHS if child is QUILLA else ""
        lookup = await shared.tap.ask(shared.made, ask(child, nhs=nhs, purpose=purpose))
        seen.states |= {answer.state for answer in lookup.answers.values()}
        seen.frames += shared.tap.lookup_frames
        seen.haystacks += shared.tap.at_gateway()
        seen.secrets |= words_of(child) | secrets_of(shared.tap, f"lookup {len(seen.frames)}")
        for answer in lookup.answers.values():
            seen.secrets[f"call reference of {answer.custodian} {purpose}"] = (
                answer.call_reference or "absent"
            )
    assert len(seen.states) >= 3, "found, not found and denied are all there"
    seen.secrets |= {"NHS number": QUILLA_NHS, "case": CASE, "asker": ASKER}
    seen.haystacks += files_of(shared.made.folder / "gw")
    seen.haystacks.append(("memory", memory_of(shared.made.gateway)))
    return seen


def secrets_of(tap: Transcript, name: str) -> dict[str, bytes | str]:
    """All that the two ends of a lookup know and its carrier must not."""
    found: dict[str, bytes | str] = {}
    (question,) = tap.questions
    found[f"commitment, {name}"] = question.commitment
    for slot, index in enumerate(question.key_of_slot):
        found[f"element {slot}, {name}"] = question.blinded[slot]
        found[f"blind {slot}, {name}"] = question.blinds[slot]
        if index is not None:
            found[f"match key {slot}, {name}"] = question.inputs[slot].removeprefix(matchkeys._DOMAIN)
            for number, tags in enumerate(tap.tags):
                found[f"short tag {slot}.{number}, {name}"] = tags[slot][:8]
    for custodian in ("police", "hospital"):
        for request in tap.requests(custodian):
            found[f"pseudonym at {custodian}, {name}"] = request.terms.pseudonym
            found[f"case at {custodian}, {name}"] = request.terms.case_reference
            found[f"nonce at {custodian}, {name}"] = request.nonce
    return found


def assert_nothing_learnt(seen: Seen) -> None:
    """No detail of child, question or answer is anywhere; and no word of purpose or decision in a lookup."""
    assert_absent(seen.secrets, seen.haystacks)
    words = {word: word for word in (*PURPOSES, "PERMIT", "agreement.", "local.purpose", "KNOWN_CURRENT")}
    words |= {"contact": "0000 000 001", "service": "Front door"}
    frames = [(frame.kind, frame.message.SerializeToString()) for frame in seen.frames]
    assert_absent(words, [*frames, *(hay for hay in seen.haystacks if hay[0] == "log")])


def assert_constant_sizes(frames: list[Frame]) -> None:
    """A frame of one kind, agency and round looks the same whatever it is about, but for random bytes."""
    shapes: dict[tuple[Any, ...], set[Any]] = {}
    rounds = {frame.message.route: frame.message.round for frame in frames if frame.kind == "dispatch"}
    for frame in frames:
        other = getattr(frame.message, "custodian", "") or getattr(frame.message, "searcher", "")
        number = rounds[frame.message.route] if frame.kind == "reply" else getattr(frame.message, "round", 0)
        key = (frame.kind, frame.agency, other, number)
        shapes.setdefault(key, set()).add(frame.shape)
    assert all(len(found) == 1 for found in shapes.values()), shapes


async def test_no_detail_of_a_lookup_reaches_the_gateway_and_sizes_are_constant(shared: Watched) -> None:
    seen = await several_lookups(shared)

    assert_nothing_learnt(seen)
    assert_constant_sizes(seen.frames)


def unsealed(public: Any, message: bytes, *, context: sealing.Context, size: int) -> bytes:
    """A seal that hides nothing but has the size of one."""
    return sealing.pad(message, size).ljust(sealing.sealed_size(size), b"\0")


def open_unsealed(key: Any, sealed: bytes, *, context: sealing.Context) -> bytes:
    return sealing.unpad(sealed[: len(sealed) - sealing.OVERHEAD_BYTES])


@pytest.fixture
def without_seals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "seal", unsealed)
    monkeypatch.setattr(envelope, "open_sealed", open_unsealed)


@pytest.fixture
def without_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends stop padding, and nobody checks sizes: left to themselves, the links refuse such frames."""
    monkeypatch.setattr(sealing, "pad", lambda message, size: len(message).to_bytes(4) + message)
    for name in ("_check_size", "check_reply"):
        monkeypatch.setattr(link, name, lambda *_: None)
    monkeypatch.setattr(gateway.lookups, "check_reply_size", lambda *_: None)


@pytest.mark.usefixtures("without_seals")
async def test_twin_unsealed_is_caught(shared: Watched) -> None:
    seen = await several_lookups(shared)

    assert_constant_sizes(seen.frames)
    with pytest.raises(AssertionError, match=" is in "):
        assert_nothing_learnt(seen)


@pytest.mark.usefixtures("without_padding")
async def test_twin_unpadded_is_caught(shared: Watched) -> None:
    seen = await several_lookups(shared)

    assert_nothing_learnt(seen)
    with pytest.raises(AssertionError):
        assert_constant_sizes(seen.frames)


async def test_twin_kept_by_the_gateway_is_caught(shared: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = await several_lookups(shared)
    assert shared.made.gateway is not None
    monkeypatch.setattr(shared.made.gateway.lookups, "kept", {"deep": [QUILLA["family"]]}, raising=False)
    seen.haystacks = [("memory", memory_of(shared.made.gateway))]

    with pytest.raises(AssertionError, match="family name of Quillamena is in memory"):
        assert_nothing_learnt(seen)


def runs(frames: list[Frame]) -> set[bytes]:
    """Every run of eight bytes on the wire."""
    found: set[bytes] = set()
    for frame in frames:
        raw = frame.untimed
        found |= {raw[start : start + RUN] for start in range(len(raw) - RUN + 1)}
    return found


def is_part(run: bytes, constant: bytes) -> bool:
    """Whether a run lies in a constant, but for one byte beside it, which is equal once in 256 times."""
    return run in constant or constant.endswith(run[:-1]) or constant.startswith(run[1:])


def assert_unlinkable(one: list[Frame], other: list[Frame]) -> None:
    """Two lookups have no eight bytes in common but public constants."""
    common = runs(one) & runs(other)
    left = {run for run in common if not any(is_part(run, constant) for constant in PUBLIC)}
    assert not left, f"{len(left)} runs of {RUN} bytes are in both lookups"


async def lookup_frames(shared: Watched) -> list[Frame]:
    """The frames of one lookup about the same child each time."""
    await shared.tap.ask(shared.made, ask(QUILLA, nhs=QUILLA_NHS))
    return shared.tap.lookup_frames


async def test_two_lookups_of_one_child_share_no_eight_bytes(shared: Watched) -> None:
    one, other = await lookup_frames(shared), await lookup_frames(shared)

    assert len(one) == len(other) == 15
    assert_unlinkable(one, other)


@pytest.mark.usefixtures("without_seals")
async def test_twin_two_unsealed_lookups_are_linked(shared: Watched) -> None:
    one, other = await lookup_frames(shared), await lookup_frames(shared)

    with pytest.raises(AssertionError, match="in both lookups"):
        assert_unlinkable(one, other)


async def test_twin_a_repeated_ask_id_links_two_lookups(
    shared: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_session = node.links.link.Link.open_session
    monkeypatch.setattr(
        node.links.link.Link, "open_session", lambda link, _: open_session(link, b"same ask id here")
    )
    one, other = await lookup_frames(shared), await lookup_frames(shared)

    with pytest.raises(AssertionError, match="in both lookups"):
        assert_unlinkable(one, other)


async def test_twin_a_seal_that_draws_nothing_links_two_lookups(
    shared: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The encapsulation is the first part of what is sealed: fixed randomness makes it the same each time.
    first: dict[tuple[object, ...], bytes] = {}

    def seal(public: Any, message: bytes, *, context: sealing.Context, size: int) -> bytes:
        sealed = sealing.seal(public, message, context=context, size=size)
        return first.setdefault((context.receiver, context.direction, context.round), sealed)

    monkeypatch.setattr(envelope, "seal", seal)
    one, other = await lookup_frames(shared), await lookup_frames(shared)

    with pytest.raises(AssertionError, match="in both lookups"):
        assert_unlinkable(one, other)
