"""Another local key: all that lies at rest under the one before is encrypted anew, and that one is destroyed.

Holds:    both keys, while it works.
Refuses:  to begin while a process of the node runs, or a load: they would go on writing under the one before.
Promises: killed at any moment it is finished by beginning it again; until then the node does not start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select, update

from elsewhere.canonical import parse_canonical
from elsewhere.catalogue.files import read_catalogue, write_catalogue
from elsewhere.catalogue.statement import CatalogueStatement
from elsewhere.errors import CatalogueBroken, SealBroken
from elsewhere.keyfiles import destroy_secret, finish_destroying, read_secret, supersede, write_secret
from elsewhere.random import RandomBytes
from elsewhere.signing import unverified_payload
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from node.catalogues.ownfile import snapshot_path
from node.catalogues.peer_files import drop_kept, kept_names
from node.keys.ring import LOCAL_FILE, LOCAL_NEXT
from node.keys.vault import Vault
from node.processes.place import MAIN, Place, other_places
from node.processes.rights import hold_right_to_keys, hold_right_to_load
from node.store.engine import Store
from node.store.exchange import opening, published, published_piece

_BEFORE = "local-before.key"  # as `supersede` names it


@dataclass(frozen=True, slots=True)
class Changed:
    """What lies under the new key."""

    openings: int  # questions kept for the audit
    catalogues: int  # of this agency's own
    copies: int  # of others' catalogues, which were dropped: the node fetches them again


def rotate_local(directory: Path, store: Store, random: RandomBytes) -> Changed:
    """Make another local key and encrypt everything anew under it.

    Args:
        directory: the node's folder.
        store: its store.
        random: gives the key, nonces and salts.

    Raises:
        NodeRunning, LoadRunning, StoreBusy: something of the node runs. Nothing was changed.
        SealBroken, CatalogueBroken: something opens under neither key. What was done so far stays done, and
            the key before is kept.
    """
    keys = directory / "keys"
    with _alone(directory), hold_right_to_load(directory, store), hold_right_to_keys(directory, store):
        finish_destroying(keys)
        if not (keys / LOCAL_NEXT).exists():
            destroy_secret(keys / _BEFORE)  # the last change was ended just before this
        if not (keys / LOCAL_NEXT).exists():
            write_secret(keys / LOCAL_NEXT, random(32))
        both = _Both(read_secret(keys / LOCAL_FILE), read_secret(keys / LOCAL_NEXT))
        with store.write() as connection:
            openings = _reseal_openings(connection, both, random)
        with store.read() as connection:
            catalogues = _rewrite_catalogues(connection, directory / "catalogues", both, random)
        copies = _drop_copies(directory)
        destroy_secret(supersede(keys / LOCAL_FILE, keys / LOCAL_NEXT))
    return Changed(openings, catalogues, copies)


@dataclass(frozen=True, slots=True)
class _Both:
    """The key before, and the one to be."""

    before: bytes
    after: bytes


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep every process of the node out."""
    with contextlib.ExitStack() as places:
        for place in (Place(directory, MAIN), *other_places(directory)):
            places.enter_context(place.alone())
        yield


def _reseal_openings(connection: Connection, both: _Both, random: RandomBytes) -> int:
    """Encrypt anew what is kept to open questions by; all in one transaction."""
    before, after = Vault(both.before), Vault(both.after)
    rows = connection.execute(select(opening.c.lookup_id, opening.c.sealed)).all()
    for row in rows:
        try:
            after.open(row.sealed, row.lookup_id)
            continue
        except SealBroken:
            plain = before.open(row.sealed, row.lookup_id)
        sealed = after.seal(plain, row.lookup_id, random)
        connection.execute(update(opening).where(opening.c.lookup_id == row.lookup_id).values(sealed=sealed))
    return len(rows)


def _rewrite_catalogues(connection: Connection, folder: Path, both: _Both, random: RandomBytes) -> int:
    """Encrypt this agency's own snapshots anew. One that is gone the node makes anew by itself."""
    count = 0
    is_first = (
        (published_piece.c.collection == published.c.collection)
        & (published_piece.c.epoch == published.c.epoch)
        & (published_piece.c.version == published.c.snapshot_version)
    )
    query = select(published_piece.c.statement, published.c.snapshot_term).join(published, is_first)
    for row in connection.execute(query):
        payload = unverified_payload(row.statement, CATALOGUE_STATEMENT_TYPE)  # it only names the file
        told = CatalogueStatement.from_json(parse_canonical(payload))
        path = snapshot_path(folder, (told.collection, told.epoch), told.version, row.snapshot_term)
        if not path.exists():
            continue
        try:
            read_catalogue(path, key=both.after, which=told.which)
        except CatalogueBroken:
            catalogue = read_catalogue(path, key=both.before, which=told.which)
            write_catalogue(path, catalogue, key=both.after, which=told.which, random=random)
        count += 1
    return count


def _drop_copies(directory: Path) -> int:
    """Remove the copies of others' catalogues: whoever made them gives them again."""
    count = 0
    for place in (Place(directory, MAIN), *other_places(directory)):
        for name in kept_names(place.catalogues):
            drop_kept(place.catalogues, name)
            count += 1
    return count
