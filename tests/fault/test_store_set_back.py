"""A store that cannot answer under the epoch stated says so: "nothing returned" would be false."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete, insert, update

from elsewhere.lookup import AnswerState, Decision, Head, Reveal
from elsewhere.published import CatalogueStatement
from elsewhere.signing import sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from node.answering.answer import NOTHING
from node.errors import CatalogueAhead, RecordsUntagged
from node.store.caseload import load, load_set
from node.store.exchange import published, published_piece
from tests.fault.direct import Pair, pair, with_request
from tests.fault.rig import counted, leaves, somebody

pytestmark = pytest.mark.usefixtures("each_engine")


@pytest_asyncio.fixture
async def two(each_engine: None, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(tmp_path) as found:
        yield found


def untag(two: Pair) -> None:
    """As in a store restored from before the epoch: the newest load is tagged in other sets."""
    with two.police._store.write() as connection:
        connection.execute(delete(load_set))


def retag_by_other_rules(two: Pair) -> None:
    """As in a store restored from before the match keys changed."""
    with two.police._store.write() as connection:
        connection.execute(update(load).values(rules="0"))


@pytest.mark.parametrize("set_back", [untag, retag_by_other_rules])
async def test_under_an_epoch_in_which_not_all_records_are_tagged_nothing_is_answered(
    two: Pair, set_back: Callable[[Pair], None]
) -> None:
    set_back(two)
    part = two.part(somebody())
    reply = await two.evaluate(part)

    assert reply is not None
    assert (reply.ruling.decision, reply.ruling.code) == (Decision.ERROR, RecordsUntagged.code)
    assert reply.ruling.remedy
    assert len(reply.elements) == 40
    said = await two.redeem(part, [Reveal(slot, b"t" * 32, part.question.blinds[slot]) for slot in range(4)])
    assert said is not None
    assert said.answer == NOTHING
    assert (counted(two.police), leaves(two.police)) == (0, 1)


async def test_nothing_is_released_where_the_records_lose_their_tags_between_the_rounds(two: Pair) -> None:
    part = two.part(somebody())
    reply = await two.evaluate(part)
    assert reply is not None
    assert reply.ruling.decision is Decision.PERMIT
    reveals = two.every_hit(part, reply)[:4]
    untag(two)

    assert await two.redeem(part, reveals) is None
    assert leaves(two.police) == 0


async def test_a_store_older_than_the_catalogue_it_gave_out_answers_nothing(two: Pair) -> None:
    part = with_request(two.part(somebody()), held=Head(3, bytes(32)))
    reply = await two.evaluate(part)

    assert reply is not None
    assert (reply.ruling.decision, reply.ruling.code) == (Decision.ERROR, CatalogueAhead.code)
    # Anybody can say so: it is no finding about this store, whose own mark tells that it was set back.
    assert not reply.ruling.code.startswith("store.")
    said = await two.redeem(part)
    assert said is not None
    assert said.answer.state is AnswerState.NOTHING_RETURNED


async def test_a_version_made_a_second_time_is_not_the_one_that_others_hold(two: Pair) -> None:
    """Set back, a node makes versions of the same numbers again, until a gateway shows what it has."""
    request = two.part(somebody()).request
    made = CatalogueStatement(
        custodian="police",
        collection=request.collection,
        epoch=request.epoch,
        version=2,
        snapshot_version=1,
        snapshot_count=64,
        delta_size=64,
        root=b"m" * 32,
        padding_commitment=bytes(32),
        published_utc=two.clock().replace(microsecond=0),
    )
    envelope = sign_document([two.police.keys.view.signing], CATALOGUE_STATEMENT_TYPE, made.to_json())
    asked = {"collection": request.collection, "epoch": request.epoch}
    row = {"version": 2, "snapshot_version": 1, "root": made.root, "seed": bytes(32), "granted": "{}"}
    row |= {"snapshot_key": bytes(32), "statement": envelope}
    row |= {"stated_version": 1, "stated_root": bytes(32), **asked}
    with two.police._store.write() as connection:
        connection.execute(insert(published).values(row))
        piece = {**asked, "version": 2, "statement": envelope, "ciphertext": b""}
        connection.execute(insert(published_piece).values(piece))

    for root, decision in ((b"o" * 32, Decision.ERROR), (made.root, Decision.PERMIT)):
        reply = await two.evaluate(with_request(two.part(somebody()), held=Head(2, root)))
        assert reply is not None
        assert reply.ruling.decision is decision
        assert reply.ruling.code == ("" if decision is Decision.PERMIT else CatalogueAhead.code)


async def test_a_store_without_any_load_has_nothing_to_tag_and_answers(two: Pair) -> None:
    with two.police._store.write() as connection:
        connection.execute(update(load).values(state="ABANDONED"))
    reply = await two.evaluate(two.part(somebody()))
    assert reply is not None
    assert reply.ruling.decision is Decision.PERMIT
