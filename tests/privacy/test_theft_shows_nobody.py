"""A stolen catalogue, opened or not, names nobody, even to a thief with a list of the whole population."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import node.caseload.workers
import node.catalogues.peer_files
from elsewhere.catalogue.tags import Catalogue, short_tags
from elsewhere.matchkeys import question_keys, record_keys
from elsewhere.oprf.voprf import OprfKey, tag_each
from node.catalogues.holding import CatalogueName, Held
from node.catalogues.peer_files import PeerFiles
from tests.federation import Federation, person
from tests.privacy.canaries import assert_absent, files_of
from tests.privacy.people import DORRAN, POPULATION, QUILLA, QUILLA_NHS, words_of
from tests.privacy.transcript import tapped

pytestmark = pytest.mark.asyncio(loop_scope="module")

HASHES = ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b", "blake2s")


@dataclass
class Shared:
    made: Federation


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    """Police tag as they should; the others are broken twins, which hash without a key."""

    def hashed(_key: OprfKey, inputs: Sequence[bytes]) -> list[bytes]:
        return [hashlib.sha256(value).digest() for value in inputs]

    def salted(_key: OprfKey, inputs: Sequence[bytes]) -> list[bytes]:
        return [hmac.digest(b"schools", value, "sha256") for value in inputs]

    async with tapped(tmp_path_factory.mktemp("federation")) as (made, _):
        rare = {"catalogue": {"tick_s": 60}}
        made.join("social", [], **rare)
        rows = [{**QUILLA, "nhs": QUILLA_NHS}, DORRAN]
        made.join("police", rows, **rare)
        for agency, keyless in (("hospital", hashed), ("schools", salted)):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(node.caseload.workers, "tag_under", partial(_under, keyless))
                made.join(agency, rows, **rare)
        await made.start("social", "police", "hospital", "schools")
        yield Shared(made)


def _under(
    keyless: Callable[[OprfKey, Sequence[bytes]], list[bytes]],
    keys: Sequence[OprfKey],
    inputs: Sequence[bytes],
) -> list[list[bytes]]:
    """What tagging under several keys is for a twin that uses none."""
    return [keyless(key, inputs) for key in keys]


def copy_of(shared: Shared, custodian: str, collection: str = "involvement") -> Held:
    """What a thief finds who has even opened the searcher's copy."""
    held = shared.made.nodes["social"].peers.held(custodian, collection, 1)
    assert held is not None
    assert len(held.catalogue) > 50
    return held


def public_of(shared: Shared, custodian: str, held: Held) -> list[bytes]:
    """What could serve as a salt and is known to a thief."""
    statement = shared.made.nodes["social"].trust.statements[custodian]
    names = [custodian, "social", "northshire", "involvement", "protected", "elsewhere", "1"]
    found = [name.encode() for name in names]
    found += [held.statement.root, held.statement.padding_commitment, statement.digest]
    found += [key.public for key in statement.oprf_keys]
    files = sorted((shared.made.folder / "social/catalogues").glob(f"peer.{custodian}.*.cat"))
    return found + [path.read_bytes()[8:40] for path in files]


def guesses(salts: Sequence[bytes]) -> Iterator[bytes]:
    """The first eight bytes of every hash, plain and salted, of every match key of everybody."""
    keys: set[bytes] = set()
    for child in POPULATION:
        who = person(child, nhs_number=QUILLA_NHS)
        keys |= {key.data for key in (*record_keys(who), *question_keys(who))}
    for key in keys:
        for name in HASHES:
            yield hashlib.new(name, key).digest()[:8]
            for salt in salts:
                yield hashlib.new(name, salt + key).digest()[:8]
                yield hashlib.new(name, key + salt).digest()[:8]
                yield hmac.digest(salt, key, name)[:8]


def assert_not_a_plain_hash(shared: Shared, custodian: str) -> None:
    """No guess is a short tag, in either order of its bytes."""
    for collection in ("involvement", "protected"):
        held = copy_of(shared, custodian, collection)
        tags = {int(tag) for tag in held.catalogue.merge()}
        for guess in guesses(public_of(shared, custodian, held)):
            assert int.from_bytes(guess, "big") not in tags, "a tag is a hash"
            assert int.from_bytes(guess, "little") not in tags, "a tag is a hash"


async def test_no_tag_is_a_hash_that_a_list_of_the_population_would_turn_back(shared: Shared) -> None:
    assert_not_a_plain_hash(shared, "police")


@pytest.mark.parametrize("custodian", ["hospital", "schools"])
async def test_twin_tags_made_without_a_secret_key_are_caught(shared: Shared, custodian: str) -> None:
    with pytest.raises(AssertionError, match="a tag is a hash"):
        assert_not_a_plain_hash(shared, custodian)


def tags_of(shared: Shared, collection: str) -> list[bytes]:
    """The short tags of the children that the police know."""
    keys = [key.data for child in (QUILLA, DORRAN) for key in record_keys(person(child))]
    tags = tag_each(shared.made.nodes["police"].keys.view.oprf[collection, 1], keys)
    held = copy_of(shared, "police", collection)
    assert all(held.contains_each(short_tags(tags)))
    return [tag[:8] for tag in tags]


def assert_ciphertext(tags: Sequence[bytes], files: Sequence[tuple[str, bytes]]) -> None:
    """No short tag stands in a file as it is, in either order of its bytes."""
    assert files
    for tag in tags:
        for raw in (tag, tag[::-1]):
            assert not any(raw in content for _, content in files), "a tag is readable"


async def test_catalogues_at_rest_are_ciphertext_at_searcher_custodian_and_gateway(shared: Shared) -> None:
    for collection in ("involvement", "protected"):
        for folder in ("social/catalogues", "police/catalogues", "gw"):
            files = list(files_of(shared.made.folder / folder))
            assert_ciphertext(tags_of(shared, collection), files)
            assert_absent(words_of(QUILLA) | words_of(DORRAN) | {"number": QUILLA_NHS}, files)


async def test_twin_a_copy_kept_in_the_clear_is_caught(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_plainly(path: Path, catalogue: Catalogue, **_: Any) -> None:
        path.write_bytes(catalogue.merge().tobytes())

    monkeypatch.setattr(node.catalogues.peer_files, "write_catalogue", write_plainly)
    held = copy_of(shared, "police")
    files = PeerFiles(tmp_path, bytes(32), lambda size: bytes(size))
    files.keep_snapshot(CatalogueName("police", "involvement", 1), held, b"statement")

    with pytest.raises(AssertionError, match="a tag is readable"):
        assert_ciphertext(tags_of(shared, "involvement"), list(files_of(tmp_path)))
