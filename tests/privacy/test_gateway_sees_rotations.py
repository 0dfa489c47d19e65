"""Keys change before the gateway's eyes: it sees that they do, and nothing of keys, tags or children."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from elsewhere.asking import State
from node.keys.ring import read_oprf
from node.store.caseload import tag
from tests.federation import Federation, Shifted
from tests.privacy.canaries import assert_absent, files_of, memory_of
from tests.privacy.people import DORRAN, QUILLA, ask, words_of
from tests.privacy.transcript import Frame, tapped
from tests.rotating import SETTINGS, epochs, hasten, is_held, order, turn, until


def secrets_of(made: Federation, agency: str) -> dict[str, bytes | str]:
    """The keys of an agency as they are now, and some of the tags made with each."""
    node = made.nodes[agency]
    found: dict[str, bytes | str] = {}
    for (collection, epoch), key in read_oprf(made.folder / agency).items():
        found[f"key of {collection}/{epoch}"] = key.scalar
    with node._store.read() as conn:
        for number in conn.execute(select(tag.c.set_id).distinct()).scalars().all():
            some = select(tag.c.tag).where(tag.c.set_id == number).limit(8)
            for place, whole in enumerate(conn.execute(some).scalars()):
                found |= {f"tag {number}.{place}": whole, f"short tag {number}.{place}": whole[:8]}
    return found


def shapes(frames: list[Frame]) -> set[tuple[object, ...]]:
    """What the frames of a lookup look like, whatever their bytes."""
    return {frame.shape for frame in frames}


async def change_before_the_gateway(
    folder: Path,
) -> tuple[dict[str, bytes | str], list[tuple[str, bytes]], list[list[Frame]]]:
    """Ask, change the police's keys to the end, ask again; gives secrets, all that was seen, both lookups."""
    async with tapped(folder) as (made, tap):
        for agency, rows in (("social", []), ("police", [QUILLA, DORRAN])):
            made.join(agency, rows, **SETTINGS, catalogue={"tick_s": 0.5})
        made.clocks = dict.fromkeys(("social", "police"), Shifted())
        await made.start("social", "police")
        police = made.nodes["police"]
        hasten(police)
        known = await tap.ask(made, ask(QUILLA))
        assert known.state("police") is State.KNOWN_CURRENT
        lookups = [tap.lookup_frames]
        secrets = words_of(QUILLA) | words_of(DORRAN) | secrets_of(made, "police")

        order(made, "police")
        await until(lambda: epochs(police) == {1, 2})
        secrets |= {f"{name}, both": value for name, value in secrets_of(made, "police").items()}
        await until(lambda: is_held(made, "social", "police", 2))
        await turn(made, "police", lambda: epochs(police) == {2})
        seen = list(tap.at_gateway())
        assert list((folder / "gw" / "catalogues").rglob("police/*/2/*.piece")), "it carries what is sealed"

        assert (await tap.ask(made, ask(QUILLA))).state("police") is State.KNOWN_CURRENT
        lookups.append(tap.lookup_frames)
        seen += [*tap.at_gateway(), *files_of(folder / "gw"), ("memory", memory_of(made.gateway))]
        return secrets, seen, lookups


async def test_the_gateway_sees_that_keys_change_and_no_key_tag_or_child(
    tmp_path: Path,
) -> None:
    secrets, seen, (before, after) = await change_before_the_gateway(tmp_path)

    assert sum(name.startswith("key of") for name in secrets) == 2 + 4
    assert_absent(secrets, seen)
    assert shapes(before) == shapes(after), "a lookup does not show under which epoch it is asked"

    key = next(value for name, value in secrets.items() if name.startswith("key of"))
    with pytest.raises(AssertionError, match="key of"):
        assert_absent(secrets, [*seen, ("leak", key if isinstance(key, bytes) else key.encode())])
