"""Catalogues as ciphertext over real mTLS: published, cached, resumed, and granted one by one."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from elsewhere.canonical import Json
from elsewhere.sealing import CATALOGUE_KEY, sealed_size
from elsewhere.signing import sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc, directory_pb2
from gateway import enrolment
from gateway.service import Gateway
from tests.gateway_support import (
    PATIENCE_S,
    Agency,
    attached,
    channel_to,
    found,
    join,
    running,
    state_keys,
    utc_now,
)

NAME, REFUSED = "involvement", "catalogue.refused"
GRANT_BYTES = sealed_size(CATALOGUE_KEY)
LABELS = ("custodian", "collection", "epoch", "version", "snapshot_version")
Chunks = list[bytes]


def grant(searcher: str) -> catalogue_pb2.KeyGrant:
    """A sealed key, as far as the gateway can tell."""
    return catalogue_pb2.KeyGrant(searcher=searcher, sealed=secrets.token_bytes(GRANT_BYTES))


def piece(version: int, snapshot: int, chunks: int = 1, **changes: object) -> catalogue_pb2.Piece:
    """The head of a piece of the police's catalogue."""
    base: dict[str, object] = {
        "custodian": "police",
        "collection": "involvement",
        "epoch": 1,
        "version": version,
        "snapshot_version": snapshot,
        "chunks": chunks,
        "grants": [grant("social"), grant("schools")] if version == snapshot else [],
    }
    return catalogue_pb2.Piece(**(base | changes))  # type: ignore[arg-type]


def sign(head: catalogue_pb2.Piece, agency: Agency, kind: str = CATALOGUE_STATEMENT_TYPE) -> bytes:
    """A catalogue statement that says of a piece what its head says."""
    told: dict[str, Json] = {name: getattr(head, name) for name in LABELS}
    return sign_document([agency.signing], kind, told)


def parts(head: catalogue_pb2.Piece, chunks: Chunks) -> list[catalogue_pb2.PublishRequest]:
    """A publication as it goes over the wire."""
    return [
        catalogue_pb2.PublishRequest(piece=head),
        *(
            catalogue_pb2.PublishRequest(chunk=catalogue_pb2.Chunk(index=index, ciphertext=chunk))
            for index, chunk in enumerate(chunks)
        ),
    ]


async def publish(
    gateway: Gateway, agency: Agency, requests: list[catalogue_pb2.PublishRequest]
) -> int | str:
    """Publish, signed unless the head has a statement; gives the version, or the code of the refusal."""

    async def stream() -> AsyncIterator[catalogue_pb2.PublishRequest]:
        for request in requests:
            if request.HasField("piece") and not request.piece.statement:
                request.piece.statement = sign(request.piece, agency)
            yield request

    async with channel_to(gateway, agency) as channel:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        try:
            return (await stub.Publish(stream(), timeout=PATIENCE_S)).version
        except grpc.aio.AioRpcError as err:
            return err.details() or ""


async def fetch(
    gateway: Gateway, agency: Agency, *, held: int = 0, from_chunk: int = 0, **changes: object
) -> tuple[list[catalogue_pb2.Piece], list[catalogue_pb2.Chunk]] | str:
    """Fetch the police's catalogue; gives heads and chunks, or the code it was refused with."""
    base: dict[str, object] = {"custodian": "police", "collection": "involvement", "epoch": 1}
    request = catalogue_pb2.FetchRequest(held_version=held, from_chunk=from_chunk, **(base | changes))  # type: ignore[arg-type]
    heads, chunks = [], []
    async with channel_to(gateway, agency) as channel:
        call = catalogue_pb2_grpc.CatalogueServiceStub(channel).Fetch(request, timeout=PATIENCE_S)
        try:
            async for response in call:
                if response.HasField("piece"):
                    heads.append(response.piece)
                else:
                    chunks.append(response.chunk)
        except grpc.aio.AioRpcError as err:
            return err.details() or ""
    return heads, chunks


@pytest.fixture
def agencies(tmp_path: Path) -> dict[str, Agency]:
    found(tmp_path)
    return {name: join(tmp_path, name) for name in ("social", "police", "schools")}


@asynccontextmanager
async def serving(folder: Path, agencies: dict[str, Agency]) -> AsyncIterator[Gateway]:
    """A gateway that holds the police's key statement."""
    async with running(folder) as gateway:
        if gateway.directory.statement("police") is None:
            state_keys(gateway, agencies["police"], (NAME, 1), (NAME, 2))
        yield gateway


async def test_a_snapshot_and_its_deltas_arrive_whole_and_in_order(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    chunks = [secrets.token_bytes(1_048_592), secrets.token_bytes(1_048_592), b"the rest"]
    snapshot = piece(1, 1, 3)
    async with serving(tmp_path, agencies) as gateway:
        assert await publish(gateway, agencies["police"], parts(snapshot, chunks)) == 1
        assert await publish(gateway, agencies["police"], parts(piece(2, 1), [b"delta 2"])) == 2
        assert await publish(gateway, agencies["police"], parts(piece(3, 1), [b"delta 3"])) == 3

        whole = await fetch(gateway, agencies["social"])
        later = await fetch(gateway, agencies["social"], held=2)
        nothing = await fetch(gateway, agencies["social"], held=3)
        resumed = await fetch(gateway, agencies["social"], from_chunk=2)

    assert isinstance(whole, tuple)
    assert [head.version for head in whole[0]] == [1, 2, 3]
    assert all(head.statement == sign(head, agencies["police"]) for head in whole[0])
    assert [(c.index, c.ciphertext) for c in whole[1]] == [
        *enumerate(chunks),
        (0, b"delta 2"),
        (0, b"delta 3"),
    ]
    assert isinstance(later, tuple)
    assert [head.version for head in later[0]] == [3]
    assert nothing == ([], [])
    assert isinstance(resumed, tuple)
    assert [(c.index, c.ciphertext) for c in resumed[1]] == [
        (2, b"the rest"),
        (0, b"delta 2"),
        (0, b"delta 3"),
    ]


async def test_a_fetch_gives_the_callers_own_grant_and_nobody_elses(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    snapshot = piece(1, 1)
    hospital = join(tmp_path, "hospital")
    async with serving(tmp_path, agencies) as gateway:
        await publish(gateway, agencies["police"], parts(snapshot, [b"c"]))
        for position, name in enumerate(("social", "schools")):
            got = await fetch(gateway, agencies[name])
            assert isinstance(got, tuple)
            assert list(got[0][0].grants) == [snapshot.grants[position]]
        # Without a grant there is no ciphertext either: the custodian has not chosen this agency.
        assert await fetch(gateway, hospital) == "catalogue.missing"

        late, again = grant("hospital"), grant("social")
        async with channel_to(gateway, agencies["police"]) as channel:
            request = catalogue_pb2.GrantRequest(
                collection="involvement", epoch=1, snapshot_version=1, grants=[late, again]
            )
            added = await catalogue_pb2_grpc.CatalogueServiceStub(channel).Grant(request, timeout=PATIENCE_S)
        assert added.added == 2
        got = await fetch(gateway, hospital)
        assert isinstance(got, tuple)
        assert list(got[0][0].grants) == [late]
        first = await fetch(gateway, agencies["social"])
        assert isinstance(first, tuple)
        # A new sealing key costs a grant: the custodian's newest one stands in the place of its older one.
        assert list(first[0][0].grants) == [again]
        others = await fetch(gateway, agencies["schools"])
        assert isinstance(others, tuple)
        assert list(others[0][0].grants) == [snapshot.grants[1]]


async def test_grants_go_to_the_snapshot_cached_and_to_no_other(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    async with serving(tmp_path, agencies) as gateway:
        await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"]))
        short = catalogue_pb2.KeyGrant(searcher="social", sealed=b"x")
        for agency, changes, code in (
            ("police", {"snapshot_version": 2}, "catalogue.missing"),
            ("police", {"epoch": 2}, "catalogue.missing"),
            ("social", {}, "catalogue.missing"),  # of its own catalogue, which is not there
            ("police", {"grants": [short]}, "catalogue.refused"),
            ("police", {"grants": [grant("Nobody")]}, "catalogue.refused"),
            ("police", {"grants": [grant("social"), grant("nobody")]}, "catalogue.refused"),
            ("police", {"grants": [grant("social"), grant("social")]}, "catalogue.refused"),
        ):
            base: dict[str, object] = {
                "collection": "involvement",
                "epoch": 1,
                "snapshot_version": 1,
                "grants": [grant("schools")],
            }
            async with channel_to(gateway, agencies[agency]) as channel:
                stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await stub.Grant(catalogue_pb2.GrantRequest(**(base | changes)), timeout=PATIENCE_S)  # type: ignore[arg-type]
            assert refusal.value.details() == code


def refused_publications() -> dict[str, list[catalogue_pb2.PublishRequest]]:
    """What must change nothing after version 1 has been published with one chunk."""
    chunk = catalogue_pb2.PublishRequest(chunk=catalogue_pb2.Chunk(index=0, ciphertext=b"c"))
    return {
        "of another custodian": parts(piece(2, 2, custodian="schools"), [b"c"]),
        "no head": [chunk],
        "nothing at all": [],
        "two heads": parts(piece(2, 2), [])[:1] * 2,
        "a version again": parts(piece(1, 1), [b"c"]),
        "a delta that skips": parts(piece(3, 1), [b"c"]),
        "a delta on another snapshot": parts(piece(2, 0), [b"c"]),
        "a delta with grants": parts(piece(2, 1, grants=[grant("social")]), [b"c"]),
        "a delta of two chunks": parts(piece(2, 1, 2), [b"c", b"d"]),
        "no statement": parts(piece(2, 2, statement=b"{}"), [b"c"]),
        "to no member": parts(piece(2, 2, grants=[grant("nobody")]), [b"c"]),
        "of a collection it states no key for": parts(piece(2, 2, collection="made-up"), [b"c"]),
        "of an epoch it states no key for": parts(piece(2, 2, epoch=7), [b"c"]),
        "a long statement": parts(piece(2, 2, statement=bytes(4097)), [b"c"]),
        "no chunks": parts(piece(2, 2, 0), []),
        "too many chunks": parts(piece(2, 2, 1025), [b"c"]),
        "a chunk missing": parts(piece(2, 2, 2), [b"c"]),
        "a chunk too many": parts(piece(2, 2, 1), [b"c", b"d"]),
        "an empty chunk": parts(piece(2, 2), [b""]),
        "a long chunk": parts(piece(2, 2), [bytes(1_048_593)]),
        "a path": parts(piece(2, 2, collection="../../etc"), [b"c"]),
        "one searcher twice": parts(piece(2, 2, grants=[grant("social"), grant("social")]), [b"c"]),
        "too many grants": parts(piece(2, 2, grants=[grant(f"a{n}") for n in range(101)]), [b"c"]),
        "a grant of another size": parts(
            piece(2, 2, grants=[catalogue_pb2.KeyGrant(searcher="social", sealed=b"x")]), [b"c"]
        ),
    }


async def test_what_cannot_be_cached_is_refused_and_changes_nothing(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    async with serving(tmp_path, agencies) as gateway:
        await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"]))
        before = await fetch(gateway, agencies["social"])
        for name, requests in refused_publications().items():
            assert await publish(gateway, agencies["police"], requests) == "catalogue.refused", name
            assert await fetch(gateway, agencies["social"]) == before, name
        files = [path.name for path in (tmp_path / "catalogues").rglob("*") if path.is_file()]
        assert files == ["1.piece"]


async def test_what_is_not_there_is_said_to_be_missing(tmp_path: Path, agencies: dict[str, Agency]) -> None:
    async with serving(tmp_path, agencies) as gateway:
        assert await fetch(gateway, agencies["social"]) == "catalogue.missing"
        await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"]))
        assert await fetch(gateway, agencies["social"], from_chunk=1) == "catalogue.missing"
        assert await fetch(gateway, agencies["social"], epoch=2) == "catalogue.missing"
        assert await fetch(gateway, agencies["social"], collection="protected") == "catalogue.missing"
        assert await fetch(gateway, agencies["social"], collection="../x") == "catalogue.refused"


async def test_a_new_snapshot_or_a_second_epoch_leaves_nothing_of_the_old(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    police = agencies["police"]
    async with serving(tmp_path, agencies) as gateway:
        await publish(gateway, police, parts(piece(1, 1), [b"old"]))
        await publish(gateway, police, parts(piece(2, 1), [b"old delta"]))
        await publish(gateway, police, parts(piece(3, 3, grants=[grant("social")]), [b"new"]))
        got = await fetch(gateway, agencies["social"], held=2)
        assert isinstance(got, tuple)
        assert [c.ciphertext for c in got[1]] == [b"new"]
        assert await fetch(gateway, agencies["schools"]) == "catalogue.missing"  # its grant went too
        await publish(gateway, police, parts(piece(1, 1, epoch=2), [b"second epoch"]))
        both = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.piece"))
        assert await publish(gateway, police, parts(piece(1, 1, epoch=3), [b"not stated"])) == REFUSED
        state_keys(gateway, police, *((NAME, epoch) for epoch in (1, 2, 3)), version=2)
        await publish(gateway, police, parts(piece(1, 1, epoch=3), [b"third epoch"]))
        assert await publish(gateway, police, parts(piece(9, 9), [b"first epoch again"])) == REFUSED
        newest = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.piece"))
    root = "catalogues/police/involvement"
    assert both == [f"{root}/1/3.piece", f"{root}/2/1.piece"]
    assert newest == [f"{root}/2/1.piece", f"{root}/3/1.piece"]


async def test_members_are_told_of_the_newest_version_also_after_a_restart(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    notice = directory_pb2.CatalogueNotice(custodian="police", collection="involvement", epoch=2, version=1)
    async with serving(tmp_path, agencies) as gateway, attached(gateway, agencies["social"]) as (peer,):
        await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"]))
        await publish(gateway, agencies["police"], parts(piece(1, 1, epoch=2), [b"c"]))
        while list((await peer.frame("directory")).directory.catalogues) != [notice]:
            pass
    (tmp_path / "catalogues" / "police" / "involvement" / "2" / "2.part").write_bytes(b"broke off")
    async with serving(tmp_path, agencies) as gateway, attached(gateway, agencies["social"]) as (peer,):
        assert list((await peer.frame("directory")).directory.catalogues) == [notice]
        got = await fetch(gateway, agencies["social"])
        assert isinstance(got, tuple)
        assert [c.ciphertext for c in got[1]] == [b"c"]
    assert not list(tmp_path.rglob("*.part"))


async def test_only_active_members_publish_and_fetch(tmp_path: Path, agencies: dict[str, Agency]) -> None:
    async with serving(tmp_path, agencies) as gateway:
        await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"]))
        enrolment.set_state(tmp_path, "police", "revoked", now=utc_now())
        enrolment.set_state(tmp_path, "social", "suspended", now=utc_now())
        gateway.directory.refresh()
        assert await publish(gateway, agencies["police"], parts(piece(2, 2), [b"c"])) == "roster.not_active"
        assert await fetch(gateway, agencies["social"]) == "roster.not_active"
        assert not gateway.directory.frame().directory.catalogues


async def test_one_publication_at_a_time(tmp_path: Path, agencies: dict[str, Agency]) -> None:
    async with serving(tmp_path, agencies) as gateway, channel_to(gateway, agencies["police"]) as channel:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        call = stub.Publish(timeout=PATIENCE_S)  # type: ignore[call-arg]
        head = piece(1, 1, 2)
        head.statement = sign(head, agencies["police"])
        await call.write(parts(head, [])[0])
        await call.write(parts(piece(1, 1, 2), [b"one"])[1])
        while not list(tmp_path.rglob("*.part")):
            # Each answer from the gateway lets it work on what came before.
            assert await fetch(gateway, agencies["social"]) == "catalogue.missing"
        assert await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"])) == "catalogue.refused"
        await call.write(parts(piece(1, 1, 2), [b"one", b"two"])[2])
        await call.done_writing()
        assert (await call).version == 1
