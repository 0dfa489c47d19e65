"""One member cannot fill the gateway: what it states, signs and has room for is cached, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.service import Gateway
from tests.gateway_support import Agency, attached, found, join, running, state_keys
from tests.integration.gateway_pieces import LABELS, REFUSED, fetch, parts, piece, publish, sign

CHUNK = bytes(2**20)


async def put(
    gateway: Gateway, agency: Agency, version: int, chunks: int = 1, **changes: object
) -> int | str:
    """Publish a snapshot without grants, of so many chunks of 1 MiB."""
    head = piece(version, version, chunks, custodian=agency.agency_id, grants=[], **changes)
    return await publish(gateway, agency, parts(head, [CHUNK] * chunks))


async def test_without_a_key_statement_nothing_is_cached(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway:
        assert await put(gateway, police, 1) == REFUSED
        state_keys(gateway, police, ("involvement", 1))
        assert await put(gateway, police, 1) == 1


async def test_what_a_piece_says_must_be_what_its_custodian_signed(tmp_path: Path) -> None:
    found(tmp_path)
    police, schools = join(tmp_path, "police"), join(tmp_path, "schools")
    async with running(tmp_path) as gateway:
        state_keys(gateway, police, ("involvement", 1))
        head = piece(1, 1, grants=[])
        for label in LABELS:
            said = getattr(head, label)
            other = piece(1, 1)
            setattr(other, label, said + 1 if isinstance(said, int) else "another")
            head.statement = sign(other, police)
            assert await publish(gateway, police, parts(head, [b"c"])) == REFUSED, label
        padded = (sign(head, police, note="more"), sign(head, police, root="00" * 33))
        for statement in (sign(head, schools), sign(head, police, "application/json"), b"x", *padded):
            head.statement = statement
            assert await publish(gateway, police, parts(head, [b"c"])) == REFUSED
        head.statement = sign(head, police)
        assert await publish(gateway, police, parts(head, [b"c"])) == 1


async def test_members_are_not_told_of_more_than_a_few_collections_of_one_agency(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway:
        stated: list[tuple[str, int]] = []
        for version in (1, 2):
            names = [f"made-up-{version}-{number}" for number in range(6)]
            stated += [(name, 1) for name in names]
            state_keys(gateway, police, *stated, version=version)
            taken = [await put(gateway, police, 1, collection=name) for name in names]
            assert taken == ([1] * 6 if version == 1 else [1, 1, REFUSED, REFUSED, REFUSED, REFUSED])
        assert await put(gateway, police, 2, collection=names[0]) == 2, "those that are there go on"
    async with running(tmp_path) as gateway:
        assert await put(gateway, police, 1, collection=names[2]) == REFUSED, "also after a restart"


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_one_agency_has_its_share_of_the_disk_and_no_more(tmp_path: Path, is_restarted: bool) -> None:
    found(tmp_path, catalogue={"quota_mb": 4})
    agencies = {name: join(tmp_path, name) for name in ("police", "schools")}
    async with running(tmp_path) as gateway:
        for agency in agencies.values():
            state_keys(gateway, agency, ("involvement", 1), ("protected", 1))
        assert await put(gateway, agencies["police"], 1, 2) == 1
        if not is_restarted:
            await check_share(gateway, agencies)
    if is_restarted:
        async with running(tmp_path) as gateway:
            await check_share(gateway, agencies)
    assert not list(tmp_path.rglob("*.part"))


async def check_share(gateway: Gateway, agencies: dict[str, Agency]) -> None:
    """Two of four MiB are taken by the police."""
    police, schools = agencies["police"], agencies["schools"]
    assert await put(gateway, police, 1, 2, collection="protected") == REFUSED  # a little over, with lengths
    assert await put(gateway, police, 1, 1, collection="protected") == 1
    assert await put(gateway, police, 2, 3) == REFUSED
    assert await put(gateway, police, 2, 2) == 2, "a snapshot takes the place of the one before"
    assert await put(gateway, schools, 1, 3) == 1, "others have their own"
    assert await fetch(gateway, schools) == "catalogue.missing"  # no grant, and no harm


async def test_cached_pieces_are_for_the_gateway_alone(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, police):
        state_keys(gateway, police, ("involvement", 1))
        await put(gateway, police, 1)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.piece")}
    assert modes == {"1.piece": 0o600}


async def test_a_gateway_whose_cached_file_was_lost_still_starts(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway:
        state_keys(gateway, police, ("involvement", 1))
        assert await put(gateway, police, 1) == 1
    for path in tmp_path.rglob("*.piece"):
        path.unlink()
    async with running(tmp_path) as gateway:
        assert await put(gateway, police, 2) == 2
