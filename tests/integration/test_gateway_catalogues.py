"""Catalogues as ciphertext over real mTLS: published, cached, resumed, and granted one by one."""

from __future__ import annotations

import errno
import secrets
import threading
from pathlib import Path

import grpc
import pytest

from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc, directory_pb2
from gateway.store import CachedPiece, CatalogueName, Store
from tests import partnership
from tests.gateway_support import (
    PATIENCE_S,
    Agency,
    Peer,
    attached,
    channel_to,
    found,
    join,
    state_keys,
    utc_now,
)
from tests.integration.gateway_pieces import NAME, REFUSED, fetch, grant, parts, piece, publish, serving, sign


@pytest.fixture
def agencies(tmp_path: Path) -> dict[str, Agency]:
    found(tmp_path)
    return {name: join(tmp_path, name) for name in ("social", "police", "schools")}


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


def notice(epoch: int, version: int) -> directory_pb2.CatalogueNotice:
    """Of the police's catalogue."""
    return directory_pb2.CatalogueNotice(
        custodian="police", collection="involvement", epoch=epoch, version=version
    )


async def notices(peer: Peer) -> list[directory_pb2.CatalogueNotice]:
    """The next frame of notices."""
    return list((await peer.frame("notices")).notices.notices)


async def test_members_are_told_of_what_is_newer_and_of_nothing_else(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    police = agencies["police"]
    async with serving(tmp_path, agencies) as gateway, attached(gateway, agencies["social"]) as (peer,):
        assert await notices(peer) == []  # after the welcome, also when there is nothing
        await publish(gateway, police, parts(piece(1, 1), [b"c"]))
        assert await notices(peer) == [notice(1, 1)]
        await publish(gateway, police, parts(piece(1, 1, epoch=2), [b"c"]))
        assert await notices(peer) == [notice(2, 1)]
        await publish(gateway, police, parts(piece(2, 1), [b"d"]))
        assert await notices(peer) == [notice(1, 2)]
        # The signed documents, which are large, went out once and not with every tick.
        kinds = [frame.WhichOneof("frame") for frame in peer.held]
        assert kinds.count("directory") == 1


async def test_somebody_who_is_granted_a_key_is_told_where_it_leads(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    hospital = join(tmp_path, "hospital")
    async with serving(tmp_path, agencies) as gateway:
        await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"]))
        await publish(gateway, agencies["police"], parts(piece(2, 1), [b"d"]))
        async with attached(gateway, hospital) as (peer,), channel_to(gateway, agencies["police"]) as channel:
            assert await notices(peer) == [notice(1, 2)]
            request = catalogue_pb2.GrantRequest(
                collection="involvement", epoch=1, snapshot_version=1, grants=[grant("hospital")]
            )
            await catalogue_pb2_grpc.CatalogueServiceStub(channel).Grant(request, timeout=PATIENCE_S)
            assert await notices(peer) == [notice(1, 2)]


async def test_both_live_epochs_are_told_also_after_a_restart_and_older_ones_never(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    async with serving(tmp_path, agencies) as gateway, attached(gateway, agencies["social"]) as (peer,):
        for epoch in (1, 2, 3):
            names = [(NAME, each) for each in range(1, epoch + 1)]
            state_keys(gateway, agencies["police"], *names, version=epoch + 1)
            await publish(gateway, agencies["police"], parts(piece(1, 1, epoch=epoch), [b"c"]))
        while notice(3, 1) not in await notices(peer):
            pass
    (tmp_path / "catalogues" / "police" / "involvement" / "2" / "2.part").write_bytes(b"broke off")
    async with serving(tmp_path, agencies) as gateway, attached(gateway, agencies["schools"]) as (peer,):
        assert await notices(peer) == [notice(2, 1), notice(3, 1)]
        assert await fetch(gateway, agencies["social"]) == "catalogue.missing"
        got = await fetch(gateway, agencies["social"], epoch=3)
        assert isinstance(got, tuple)
        assert [c.ciphertext for c in got[1]] == [b"c"]
    assert not list(tmp_path.rglob("*.part"))


async def test_a_full_disk_refuses_a_piece_by_a_code_and_shows_no_path(
    tmp_path: Path, agencies: dict[str, Agency], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    async with serving(tmp_path, agencies) as gateway:
        monkeypatch.setattr("gateway.pieces.PieceWriter.add", full)
        assert await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"])) == "store.unavailable"
        monkeypatch.undo()
        assert await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"])) == 1


async def test_a_fetch_reads_what_is_above_the_version_held_and_no_more(
    tmp_path: Path, agencies: dict[str, Agency], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    whole = Store.pieces

    def pieces(store: Store, name: CatalogueName, *, above: int, most: int) -> list[CachedPiece]:
        assert threading.current_thread() is not threading.main_thread()  # nobody else waits for the disk
        found = whole(store, name, above=above, most=most)
        read.append(len(found))
        return found

    async with serving(tmp_path, agencies) as gateway:
        for version in range(1, 6):
            await publish(gateway, agencies["police"], parts(piece(version, 1), [b"c"]))
        monkeypatch.setattr(Store, "pieces", pieces)
        got = await fetch(gateway, agencies["social"], held=4)
    assert isinstance(got, tuple)
    assert [head.version for head in got[0]] == [5]
    assert read == [1]


async def test_only_active_members_publish_and_fetch(tmp_path: Path, agencies: dict[str, Agency]) -> None:
    async with serving(tmp_path, agencies) as gateway:
        await publish(gateway, agencies["police"], parts(piece(1, 1), [b"c"]))
        partnership.set_state(tmp_path, "police", "revoked", now=utc_now())
        partnership.set_state(tmp_path, "social", "suspended", now=utc_now())
        gateway.directory.refresh()
        assert await publish(gateway, agencies["police"], parts(piece(2, 2), [b"c"])) == "roster.not_active"
        assert await fetch(gateway, agencies["social"]) == "roster.not_active"
        assert not gateway.directory.newest()


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
