"""A limit that is met only once slots are opened shows the gateway nothing: one reply, the same work."""

from __future__ import annotations

from pathlib import Path

import pytest

from elsewhere.lookup import AnswerState, RedeemReply
from node.answering.custodian import Custodian
from node.answering.guard import Guard
from node.errors import ReplayRefused
from tests.fault.direct import Pair, pair
from tests.fault.test_limits import Asking
from tests.privacy.operations import Operations

EDIT = ("per_person_per_day = 60", "per_person_per_day = 1")
Seen = dict[str, tuple[RedeemReply | None, int, list[str]]]


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> Operations:
    found = Operations()
    found.install(monkeypatch)
    return found


async def views(two: Pair, operations: Operations) -> Seen:
    """What Redeems of one question look like: a hit, another that a limit keeps back, a repeat, a miss."""
    asking, seen = Asking(two), {}
    operations.listen(two.police)
    say, sizes = two.say, list[int]()

    async def note(*given: object) -> bytes | None:
        sealed = await say(*given)  # type: ignore[arg-type]
        sizes.append(len(sealed or b""))
        return sealed

    two.say = note  # type: ignore[method-assign, assignment]
    for name, child in (("first", "Zofia"), ("limited", "Kai"), ("same", "Zofia"), ("miss", "nobody")):
        await asking.again()
        operations.clear()
        answer = await asking.redeem(child)
        steps = next(trace.steps for trace in operations.traces if trace.round == 2)
        seen[name] = (answer, sizes[-1], steps)
    return seen


def assert_alike(seen: Seen) -> None:
    """A sealed reply of one size each, after the same steps."""
    _, size, steps = seen["miss"]
    assert size
    for name, (_, its_size, its_steps) in seen.items():
        assert its_size == size, name
        assert its_steps == steps, name


async def test_a_hit_that_a_limit_keeps_back_looks_like_any_other_answer(
    tmp_path: Path, operations: Operations
) -> None:
    async with pair(tmp_path, EDIT) as two:
        seen = await views(two, operations)
    limited = seen["limited"][0]
    assert limited is not None
    assert (limited.answer.state, limited.answer.tier) == (AnswerState.NOTHING_RETURNED, "")
    assert seen["first"][0] is not None
    assert seen["first"][0].answer.state is not AnswerState.NOTHING_RETURNED
    assert_alike(seen)


async def test_twin_a_limit_that_is_met_with_a_refusal_is_caught(
    tmp_path: Path, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    redeem = Custodian.redeem

    def refuse(custodian: Custodian, *given: object, **named: object) -> object:
        prepared = redeem(custodian, *given, **named)  # type: ignore[arg-type]
        if custodian.clock() and refused:
            raise ReplayRefused("expected the slots opened before")
        return prepared

    refused: list[bool] = []
    find_limit = Guard.find_limit

    def note(*given: object) -> object:
        found = find_limit(*given)  # type: ignore[arg-type]
        refused[:] = [True] if found is not None else []
        return found

    monkeypatch.setattr(Guard, "find_limit", note)
    monkeypatch.setattr(Custodian, "redeem", refuse)
    async with pair(tmp_path, EDIT) as two:
        seen = await views(two, operations)
    with pytest.raises(AssertionError):
        assert_alike(seen)
