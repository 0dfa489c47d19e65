"""Keys change on a federation that is asked all the time: no answer is missed, and nothing old is left."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from functools import partial
from pathlib import Path

from sqlalchemy import select

from elsewhere.asking import Coverage, State
from node.store.caseload import entry, tag, tag_set
from node.store.exchange import published, published_piece
from tests.federation import EVA, Federation, ask_about
from tests.rotating import KAI, ZOE, epochs, rotate, rotating_federation, until


async def ask_on(made: Federation, seen: Counter[tuple[object, ...]], stop: asyncio.Event) -> None:
    """Ask about Zofia again and again, each time for another practitioner."""
    for number in itertools.count():
        found = await made.ask("social", ask_about(ZOE, asker=f"worker-{number}"))
        states = [(name, answer.state, answer.code) for name, answer in sorted(found.answers.items())]
        seen[found.coverage, *states] += 1
        if stop.is_set():
            return


async def test_two_changes_of_epoch_lose_no_lookup_and_leave_nothing_of_the_old_keys(tmp_path: Path) -> None:
    async with rotating_federation(tmp_path) as made:
        seen: Counter[tuple[object, ...]] = Counter()
        stop = asyncio.Event()
        asking = asyncio.create_task(ask_on(made, seen, stop))
        assert await rotate(made, "police") == 2
        assert await rotate(made, "police") == 3
        asked = sum(seen.values())
        await until(lambda: sum(seen.values()) > asked + 3 or asking.done())
        stop.set()
        await asking

        whole = (
            Coverage.COMPLETE,
            ("hospital", State.KNOWN_CURRENT, ""),
            ("police", State.KNOWN_CURRENT, ""),
        )
        assert set(seen) == {whole}, seen
        assert seen[whole] > 20
        alone = await made.ask("social", ask_about(KAI))
        assert (alone.state("police"), alone.state("hospital")) == (
            State.KNOWN_CURRENT,
            State.NOTHING_RETURNED,
        )
        assert (await made.ask("social", ask_about(EVA))).state("police") is State.NOTHING_RETURNED
        await check_nothing_left(made, "police", gone={1, 2})


def _is_none(folder: Path, pattern: str) -> bool:
    return not list(folder.glob(pattern))


async def check_nothing_left(made: Federation, agency: str, gone: set[int]) -> None:
    """No key, tag, entry, row or file of dead epochs anywhere: not at the agency, a peer or the gateway."""
    node = made.nodes[agency]
    assert not epochs(node) & gone
    for name, epoch in itertools.product(("involvement", "protected"), gone):
        assert not (made.folder / agency / "keys" / f"oprf-{name}-{epoch}.key").exists()
        for kept in (
            f"{agency}/catalogues/own.{name}.{epoch}.*.cat",
            f"*/catalogues/peer.{agency}.{name}.{epoch}.*",
            f"gw/catalogues/{agency}/{name}/{epoch}/*.piece",
        ):
            await until(partial(_is_none, made.folder, kept))
    with node._store.read() as conn:
        sets = {row.epoch for row in conn.execute(select(tag_set))}
        ids = set(conn.execute(select(tag_set.c.id)).scalars())
        assert not sets & gone
        assert set(conn.execute(select(tag.c.set_id).distinct()).scalars()) <= ids
        assert set(conn.execute(select(entry.c.set_id).distinct()).scalars()) <= ids
        for table in (published, published_piece):
            assert not set(conn.execute(select(table.c.epoch)).scalars()) & gone
