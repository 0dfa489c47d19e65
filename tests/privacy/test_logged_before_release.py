"""Nothing is released that is not in the custodian's log, durably; nothing while it cannot be written."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, event

from elsewhere.asking import CustodianAnswer, State
from elsewhere.errors import LogUnavailable
from elsewhere.receipt import RECEIPT_TYPE
from elsewhere.signing import open_document
from elsewhere.wire.v1 import link_pb2
from node.answering.custodian import Change, Custodian, Prepared
from node.answering.service import Answering
from tests.caseload import path_of
from tests.federation import Federation
from tests.privacy.people import QUILLA, YSOLDE, ask
from tests.privacy.transcript import Transcript, tapped

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Shared:
    made: Federation
    tap: Transcript
    seen: list[tuple[int, bool]] = field(default_factory=list)  # of each reply: its round, was it durable


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with tapped(tmp_path_factory.mktemp("federation")) as (made, tap):
        rare = {"catalogue": {"tick_s": 60}, "lookup": {"retry_s": 900}}
        made.join("social", [], **rare)
        policy = {"denied_purposes": ["EARLY_HELP"]}
        made.join("police", [QUILLA], policy=policy, **rare)
        watched = Shared(made, tap)
        with pytest.MonkeyPatch.context() as patch:
            handle = Answering.handle

            async def handle_and_look(answering: Answering, dispatch: link_pb2.Dispatch, **told: str) -> Any:
                reply = await handle(answering, dispatch, **told)
                if reply is not None and reply.sealed:
                    # The very moment at which the link is handed the reply.
                    watched.seen.append((dispatch.round, is_durable(watched, dispatch)))
                return reply

            patch.setattr(Answering, "handle", handle_and_look)
            await made.start("social", "police")
            yield watched


def stored(shared: Shared, query: str, *values: Any) -> list[Any]:
    """What another connection finds in the police's store: only what was committed."""
    path = shared.made.folder / "police" / "store.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()


def is_durable(shared: Shared, dispatch: link_pb2.Dispatch) -> bool:
    """Whether what a reply rests on is in the store: its question and, in round two, one entry of the log."""
    asked = stored(shared, "SELECT redeem_digest FROM question WHERE lookup_id = ?", dispatch.lookup_id)
    if dispatch.round == 1:
        return len(asked) == 1
    bodies = stored(shared, "SELECT body FROM log WHERE kind = 'answered'")
    entries = [body for (body,) in bodies if json.loads(body)["lookup_id"] == dispatch.lookup_id.hex()]
    return len(entries) == 1 and [row != (None,) for row in asked] == [True]


async def ask_police(shared: Shared, *children: Any, **terms: Any) -> list[CustodianAnswer]:
    """Ask about some children, and look at each reply as it leaves."""
    shared.seen.clear()
    found = []
    for child in children:
        lookup = await shared.tap.ask(shared.made, ask(child, "police", **terms))
        found.append(lookup.answers["police"])
    return found


def assert_logged_first(shared: Shared, lookups: int) -> None:
    """Every reply of both rounds rested on what was durable."""
    assert shared.seen == [(1, True), (2, True)] * lookups


async def test_every_reply_rests_on_what_is_durable_when_it_leaves(shared: Shared) -> None:
    await ask_police(shared, QUILLA, YSOLDE)
    assert_logged_first(shared, 2)

    await ask_police(shared, QUILLA, purpose="EARLY_HELP")
    assert_logged_first(shared, 1)


async def test_the_receipt_names_the_entry_that_is_in_the_log(shared: Shared) -> None:
    for answer in await ask_police(shared, QUILLA, YSOLDE):
        public = shared.made.nodes["social"].trust.roster.active("police").signing_key
        receipt = open_document(answer.receipt, RECEIPT_TYPE, [public])
        assert isinstance(receipt, dict)
        found = stored(shared, "SELECT digest FROM log WHERE call_reference = ?", answer.call_reference)
        assert [digest.hex() for (digest,) in found] == [receipt["leaf"]]


def undone(shared: Shared, change: Change) -> bytes:
    """The reply that a change gives, without what it changes."""
    with contextlib.suppress(Undone), shared.made.nodes["police"]._store.write() as connection:
        raise_limit(connection)
        reply = change(connection)
        raise Undone
    return reply


class Undone(Exception):
    """Whatever was written is not kept."""


async def test_twin_an_entry_appended_after_release_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Change] = []
    decide = Answering._decide

    async def decide_early(answering: Answering, dispatch: link_pb2.Dispatch) -> bytes:
        if dispatch.round == 1:
            return await decide(answering, dispatch)
        message = (dispatch.searcher, dispatch.lookup_id, dispatch.sealed)
        change = answering.custodian.redeem(*message).change
        assert change is not None
        late.append(change)
        return undone(shared, change)

    monkeypatch.setattr(Answering, "_decide", decide_early)
    (answer,) = await ask_police(shared, QUILLA)
    await shared.made.nodes["police"]._writer.run(late[0])

    assert answer.state is State.KNOWN_CURRENT
    assert shared.seen == [(1, True), (2, False)]
    with pytest.raises(AssertionError):
        assert_logged_first(shared, 1)


@contextmanager
def full_disk(shared: Shared) -> Iterator[None]:
    """Let the police's store grow by not one page more, on whatever connection it is written."""
    store = shared.made.nodes["police"]._store
    with closing(sqlite3.connect(path_of(store), isolation_level=None)) as connection:
        connection.execute("VACUUM")  # room that deleted rows left would be used up first
        (pages,) = connection.execute("PRAGMA page_count").fetchone()

    def limit(connection: Connection, most: int = pages) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    event.listen(store._engine, "begin", limit)
    try:
        yield
    finally:
        event.remove(store._engine, "begin", limit)
        event.listen(store._engine, "begin", raise_limit)


def raise_limit(connection: Connection) -> None:
    connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")


@contextmanager
def deadline(shared: Shared, milliseconds: int) -> Iterator[None]:
    """A short deadline: silence is what is expected, and it lasts until then."""
    parts = shared.made.nodes["social"].searcher._exchange._parts
    before = parts.deadline_ms
    object.__setattr__(parts, "deadline_ms", milliseconds)
    yield
    object.__setattr__(parts, "deadline_ms", before)


def assert_nothing_released(shared: Shared, answer: CustodianAnswer, rounds: int) -> None:
    """Only the rounds before the disk was full were replied to, and the asker knows of no answer."""
    assert answer.state is State.TIMED_OUT
    assert (answer.receipt, answer.call_reference) == (b"", "")
    assert shared.seen == [(1, True), (2, True)][:rounds]


async def test_nothing_is_released_while_the_log_cannot_be_written_and_then_all_is_well(
    shared: Shared,
) -> None:
    with full_disk(shared), deadline(shared, 1000):
        (answer,) = await ask_police(shared, QUILLA)
        assert_nothing_released(shared, answer, 0)
        (again,) = await ask_police(shared, YSOLDE)
        assert_nothing_released(shared, again, 0)

    (answer,) = await ask_police(shared, QUILLA)
    assert answer.state is State.KNOWN_CURRENT
    assert_logged_first(shared, 1)


@contextmanager
def full_in_round_two(shared: Shared, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the disk fill up between the two rounds."""
    redeem, full = Custodian.redeem, full_disk(shared)

    with ExitStack() as filled, patch.context() as inner:

        def redeem_when_full(custodian: Custodian, *message: Any, **limited: Any) -> Prepared:
            filled.enter_context(full)
            return redeem(custodian, *message, **limited)

        inner.setattr(Custodian, "redeem", redeem_when_full)
        yield


async def test_a_disk_that_fills_up_between_the_rounds_holds_the_answer_back(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full_in_round_two(shared, monkeypatch), deadline(shared, 3000):
        (answer,) = await ask_police(shared, QUILLA)
    assert_nothing_released(shared, answer, 1)

    (answer,) = await ask_police(shared, QUILLA)
    assert answer.state is State.KNOWN_CURRENT


async def test_twin_an_answer_that_leaves_though_it_could_not_be_logged_is_caught(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(answering: Answering, prepared: Prepared, sealed: Future[bytes]) -> None:
        assert prepared.change is not None
        with contextlib.suppress(LogUnavailable):
            answering.writer.submit(prepared.change).result()
        sealed.set_result(undone(shared, prepared.change))

    monkeypatch.setattr(Answering, "_settle", settle)
    with full_in_round_two(shared, monkeypatch), deadline(shared, 3000):
        (answer,) = await ask_police(shared, QUILLA)

    with pytest.raises(AssertionError):
        assert_nothing_released(shared, answer, 1)
