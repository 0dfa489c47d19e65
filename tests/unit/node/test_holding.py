"""Whatever a gateway or a custodian sends, only what was signed is held, and nothing goes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from elsewhere.catalogue.sealed import seal_snapshot
from elsewhere.catalogue.tags import short_tags
from elsewhere.errors import CatalogueBroken, DocumentInvalid, SealBroken, SignatureInvalid
from elsewhere.published import MAX_TAGS, CatalogueStatement
from elsewhere.signing import sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from elsewhere.wire.v1 import catalogue_pb2
from node.catalogues.grants import in_force, open_grant, recipients, seal_grant
from node.catalogues.holding import CatalogueName, Held, Intake, Reader, Superseded
from node.catalogues.own import OwnCatalogue, OwnState
from tests.unit.node.exchange_world import NOW, Agency, agreement_of, make_agencies, numbers, set_state

Message = catalogue_pb2.FetchResponse
LARGE = 131_072 + 10  # two chunks


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Agency]]:
    found = make_agencies(tmp_path_factory.mktemp("agencies"))
    for agency in found.values():
        agency.start()
    yield found
    for agency in found.values():
        agency.stop()


@pytest.fixture(scope="module")
def own(agencies: dict[str, Agency]) -> OwnCatalogue:
    """The police's, with two deltas on a snapshot of two chunks."""
    agencies["police"].add_tags(numbers(LARGE, 1), [("involvement", 1)])
    made = agencies["police"].opened()
    for _ in range(3):
        made.step()
    return made


@pytest.fixture(scope="module")
def state(own: OwnCatalogue) -> OwnState:
    assert own.state is not None
    return own.state


@pytest.fixture
def reader(agencies: dict[str, Agency]) -> Reader:
    name = CatalogueName("police", "involvement", 1)
    schools = agencies["schools"]
    return Reader(name, agencies["police"].signing.public, "schools", (schools.sealing,))


def messages(state: OwnState, agencies: dict[str, Agency], index: int) -> list[Message]:
    """One version as an honest gateway sends it to the schools."""
    piece = state.pieces[index]
    told = piece.statement
    head = label(told, piece.envelope)
    if not told.is_snapshot:
        return [Message(piece=head), chunk(0, piece.ciphertext)]
    entry = agencies["police"].trust.statements["schools"].sealing_keys[0]
    head.grants.add(searcher="schools", sealed=seal_grant(state.key, told.which, "schools", entry))
    sealed = seal_snapshot(state.catalogue.base, state.key, told.which)
    return [Message(piece=head), *(chunk(i, data) for i, data in enumerate(sealed))]


def label(told: CatalogueStatement, envelope: bytes) -> catalogue_pb2.Piece:
    return catalogue_pb2.Piece(
        custodian=told.custodian,
        collection=told.collection,
        epoch=told.epoch,
        version=told.version,
        snapshot_version=told.snapshot_version,
        chunks=told.chunks,
        statement=envelope,
    )


def chunk(index: int, data: bytes) -> Message:
    return Message(chunk=catalogue_pb2.Chunk(index=index, ciphertext=data))


def signed(agency: Agency, told: CatalogueStatement) -> catalogue_pb2.Piece:
    """What a custodian that wants to do harm signs."""
    return label(told, sign_document([agency.signing], CATALOGUE_STATEMENT_TYPE, told.to_json()))


def take_all(intake: Intake, *parts: list[Message]) -> Held | None:
    for part in parts:
        for message in part:
            intake.take(message)
    return intake.held


@pytest.fixture
def snapshot(state: OwnState, agencies: dict[str, Agency]) -> list[Message]:
    return messages(state, agencies, 0)


@pytest.fixture
def deltas(state: OwnState, agencies: dict[str, Agency]) -> list[list[Message]]:
    return [messages(state, agencies, 1), messages(state, agencies, 2)]


def test_an_honest_stream_gives_exactly_what_was_published(
    reader: Reader, state: OwnState, snapshot: list[Message], deltas: list[list[Message]]
) -> None:
    held = take_all(Intake(reader, None), snapshot, *deltas)

    assert held is not None
    assert held.head == state.pieces[-1].head
    assert np.array_equal(held.catalogue.merge(), state.catalogue.merge())
    assert held.contains_each(short_tags([bytes(32)])) == [False]
    assert all(held.contains_each(numbers(LARGE, 1)[:40]))
    assert state.key.hex() not in repr(held)


def test_nothing_is_held_before_the_last_chunk(reader: Reader, snapshot: list[Message]) -> None:
    intake = Intake(reader, None)

    assert take_all(intake, snapshot[:-1]) is None
    assert intake.resume_at == 1
    assert intake.progress == (0, 1)


Harm = Callable[[list[Message]], None]


def _other_statement(part: list[Message]) -> None:
    part[0].piece.statement = part[0].piece.statement[:-9] + b'"}],"x":1}'


def _swap(part: list[Message]) -> None:
    part[1], part[2] = part[2], part[1]


def _alter(part: list[Message]) -> None:
    data = bytearray(part[2].chunk.ciphertext)
    data[5] ^= 1
    part[2].chunk.ciphertext = bytes(data)


HARMS: dict[str, Harm] = {
    "garbage for a statement": lambda part: setattr(part[0].piece, "statement", b"garbage"),
    "a statement that was altered": _other_statement,
    "another version on the label": lambda part: setattr(part[0].piece, "version", 9),
    "another epoch on the label": lambda part: setattr(part[0].piece, "epoch", 2),
    "more chunks on the label": lambda part: setattr(part[0].piece, "chunks", 3),
    "no grant": lambda part: part[0].piece.ClearField("grants"),
    "somebody else's grant": lambda part: setattr(part[0].piece.grants[0], "searcher", "health"),
    "a grant of noise": lambda part: setattr(part[0].piece.grants[0], "sealed", bytes(1392)),
    "two grants": lambda part: part[0].piece.grants.append(part[0].piece.grants[0]),
    "chunks in another order": _swap,
    "a chunk left out": lambda part: part.pop(1) and None,
    "a chunk altered": _alter,
    "a chunk cut short": lambda part: setattr(part[1].chunk, "ciphertext", part[1].chunk.ciphertext[:-8]),
    "a chunk too many": lambda part: part.append(chunk(2, part[2].chunk.ciphertext)),
    "a chunk first": lambda part: part.pop(0) and None,
    "another piece instead of chunks": lambda part: part.insert(1, part[0]),
    "an empty message": lambda part: part.insert(1, Message()),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS.keys())
def test_a_snapshot_that_is_not_as_published_is_refused(
    reader: Reader, snapshot: list[Message], harm: Harm
) -> None:
    part = [Message.FromString(message.SerializeToString()) for message in snapshot]
    harm(part)
    intake = Intake(reader, None)

    with pytest.raises((CatalogueBroken, SignatureInvalid, SealBroken, DocumentInvalid)):
        take_all(intake, part)

    assert intake.resume_at == 0, "what misled once is not built upon"


def test_another_custodians_piece_is_refused(reader: Reader, agencies: dict[str, Agency]) -> None:
    theirs = agencies["health"].opened()
    theirs.step()
    assert theirs.state is not None
    piece = label(theirs.state.newest, theirs.state.pieces[0].envelope)

    with pytest.raises(SignatureInvalid):
        Intake(reader, None).take(Message(piece=piece))


def test_a_piece_signed_by_its_custodian_for_another_collection_is_refused(
    reader: Reader, agencies: dict[str, Agency], state: OwnState
) -> None:
    piece = signed(agencies["police"], replace(state.newest, collection="protected"))

    with pytest.raises(CatalogueBroken, match="another"):
        Intake(reader, None).take(Message(piece=piece))


def test_an_old_version_never_replaces_a_newer_one(
    reader: Reader, snapshot: list[Message], deltas: list[list[Message]]
) -> None:
    held = take_all(Intake(reader, None), snapshot, *deltas)
    assert held is not None

    for older in (snapshot, *deltas):
        intake = Intake(reader, held)
        with pytest.raises(CatalogueBroken, match="older"):
            take_all(intake, older)
        assert intake.held is held


def test_a_custodian_that_promises_more_than_is_allowed_takes_no_memory(
    reader: Reader, agencies: dict[str, Agency], state: OwnState
) -> None:
    huge = replace(state.pieces[0].statement, snapshot_count=MAX_TAGS)

    with pytest.raises(CatalogueBroken, match="at most"):
        Intake(reader, None).take(Message(piece=signed(agencies["police"], huge)))


def test_deltas_count_towards_what_is_allowed(
    reader: Reader, state: OwnState, snapshot: list[Message], deltas: list[list[Message]]
) -> None:
    tight = replace(reader, max_tags=state.newest.snapshot_count + state.newest.delta_size)
    intake = Intake(tight, None)
    take_all(intake, snapshot, deltas[0])

    with pytest.raises(CatalogueBroken, match="deltas included"):
        take_all(intake, deltas[1])


def test_a_delta_needs_the_version_before_it(
    reader: Reader, snapshot: list[Message], deltas: list[list[Message]]
) -> None:
    with pytest.raises(CatalogueBroken):
        take_all(Intake(reader, None), deltas[0])
    intake = Intake(reader, None)
    take_all(intake, snapshot)
    with pytest.raises(CatalogueBroken):
        take_all(intake, deltas[1])


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot_version": 1, "version": 3},
        {"snapshot_count": 4096},
        {"padding_commitment": b"\x01" * 32},
        {"root": b"\x01" * 32},
        {"delta_size": 17},
    ],
    ids=str,
)
def test_a_custodian_that_contradicts_itself_is_refused(
    reader: Reader,
    agencies: dict[str, Agency],
    state: OwnState,
    snapshot: list[Message],
    deltas: list[list[Message]],
    change: dict[str, object],
) -> None:
    intake = Intake(reader, None)
    before = take_all(intake, snapshot)
    told = replace(state.pieces[1].statement, **change)  # type: ignore[arg-type]
    part = [Message(piece=signed(agencies["police"], told)), deltas[0][1]]

    with pytest.raises(CatalogueBroken):
        take_all(intake, part)

    assert intake.held is before


def test_a_snapshot_of_another_root_than_signed_is_refused(
    reader: Reader, agencies: dict[str, Agency], state: OwnState, snapshot: list[Message]
) -> None:
    told = replace(state.pieces[0].statement, root=b"\x02" * 32)
    piece = signed(agencies["police"], told)
    piece.grants.extend(snapshot[0].piece.grants)
    intake = Intake(reader, None)

    with pytest.raises(CatalogueBroken, match="root"):
        take_all(intake, [Message(piece=piece), *snapshot[1:]])

    assert intake.held is None


def test_a_broken_off_snapshot_goes_on_where_it_stopped(reader: Reader, snapshot: list[Message]) -> None:
    intake = Intake(reader, None)
    take_all(intake, snapshot[:2])

    intake.begin()
    held = take_all(intake, [snapshot[0], snapshot[2]])

    assert held is not None
    assert intake.resume_at == 0


def test_a_snapshot_superseded_meanwhile_is_begun_anew(
    reader: Reader, agencies: dict[str, Agency], state: OwnState, snapshot: list[Message]
) -> None:
    intake = Intake(reader, None)
    take_all(intake, snapshot[:2])
    intake.begin()
    newer = replace(state.pieces[0].statement, version=7, snapshot_version=7)

    with pytest.raises(Superseded):
        intake.take(Message(piece=signed(agencies["police"], newer)))

    assert intake.resume_at == 0


def test_a_grant_opens_for_its_receiver_and_its_snapshot_only(
    agencies: dict[str, Agency], state: OwnState
) -> None:
    which = state.pieces[0].statement.which
    schools, health = agencies["schools"], agencies["health"]
    entry = schools.trust.statements["schools"].sealing_keys[0]
    sealed = seal_grant(state.key, which, "schools", entry)

    assert open_grant(sealed, which, "schools", (health.sealing, schools.sealing)) == state.key
    attempts: list[Callable[[], object]] = [
        lambda: open_grant(sealed, which, "health", (schools.sealing,)),
        lambda: open_grant(sealed, replace(which, version=2), "schools", (schools.sealing,)),
        lambda: open_grant(sealed, which, "schools", (health.sealing,)),
        lambda: open_grant(
            seal_grant(b"short", which, "schools", entry), which, "schools", [schools.sealing]
        ),
    ]
    for attempt in attempts:
        with pytest.raises(SealBroken):
            attempt()


def test_keys_go_to_active_others_with_a_statement_only(tmp_path: Path) -> None:
    trust = make_agencies(tmp_path)["police"].trust
    assert list(recipients(trust, NOW)) == ["schools", "health"]

    set_state(trust, "health", "suspended")
    assert list(recipients(trust, NOW)) == ["schools"]
    del trust.statements["schools"]
    assert recipients(trust, NOW) == {}


def test_nobody_is_given_a_key_on_an_expired_roster_or_to_an_expired_one(tmp_path: Path) -> None:
    trust = make_agencies(tmp_path)["police"].trust

    assert recipients(trust, trust.roster.valid_until_utc) == {}
    assert recipients(trust, trust.statements["schools"].sealing_keys[0].not_after_utc) == {}


def test_keys_go_to_parties_to_the_agreement_only_and_to_nobody_without_one(tmp_path: Path) -> None:
    trust = make_agencies(tmp_path)["police"].trust
    trust.agreement = agreement_of("schools")

    assert list(recipients(trust, NOW)) == ["schools"]
    trust.agreement = None
    assert recipients(trust, NOW) == {}


def test_that_documents_run_out_takes_a_key_from_nobody(tmp_path: Path) -> None:
    trust = make_agencies(tmp_path)["police"].trust
    over = replace(trust.roster, valid_until_utc=trust.roster.issued_utc + timedelta(seconds=1))
    trust.succession = replace(trust.succession, roster=over)
    trust.statements.clear()

    assert in_force(trust) == {"schools", "health"}
    set_state(trust, "health", "revoked")
    assert in_force(trust) == {"schools"}
