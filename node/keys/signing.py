"""Another signing key: made here, listed by the stewards, taken up by the node that runs as soon as it is.

Holds:    both keys, from the making of the new one until it is in force.
Refuses:  to sign with a key that the roster does not list: nobody would believe it.
Promises: killed between any two steps the node goes on where it was; the key before is destroyed, and its
          public half is kept, as this node's own log and statements of before are checked with it.
Source:   docs/keys.md, "The signing key".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Connection

from elsewhere.errors import ElsewhereError
from elsewhere.keyfiles import destroy_secret, supersede, write_secret
from elsewhere.random import RandomBytes
from elsewhere.rekeying import sign_rekeying
from elsewhere.signing import SigningKey
from elsewhere.spoken import spoken
from node.keys.ring import SIGNING_FILE, SIGNING_NEXT, add_earlier, read_coming, read_signing
from node.ledger import book
from node.processes.rights import hold_right_to_keys
from node.store.engine import Store
from node.store.owner import owner_of, put_owner

_BEFORE = "signing-before.key"  # as `supersede` names it
_log = structlog.get_logger(__name__)


class SigningUnlisted(ElsewhereError):
    """The roster lists another signing key for this agency than this node has: nobody believes it.

    After a restore from before the key was changed, put keys/ back as it was since. If nobody here changed
    the key, tell the stewards at once: somebody speaks for this agency.
    """

    code = "keys.unlisted"


def ask_for_signing(directory: Path, agency: str, store: Store, random: RandomBytes) -> tuple[bytes, str]:
    """Make the next signing key, unless one waits already; nothing changes before the roster lists it.

    Args:
        directory: the node's folder.
        agency: whose node it is.
        store: its store.
        random: gives the key.

    Returns:
        The wish for the gateway's operator to propose, and the fingerprint for stewards to hear by voice.

    Raises:
        StoreBusy, StoreUnavailable: as `hold_right_to_keys`.
    """
    keys = directory / "keys"
    with hold_right_to_keys(directory, store):
        held, coming = read_signing(directory), read_coming(directory)
        if coming is None:
            destroy_secret(keys / _BEFORE)  # the last change was ended just before this
            coming = SigningKey.generate(random)
            write_secret(keys / SIGNING_NEXT, coming.seed)
    return sign_rekeying(agency, held, coming), spoken("member", coming.public)


def take_up_signing(directory: Path, store: Store, listed: bytes, now: datetime) -> bool:
    """Put the next signing key in force once the roster lists it; True if it was.

    The caller holds the right to the keys, and states them anew afterwards.

    Args:
        directory: the node's folder.
        store: its store, which belongs to the new key from then on, and whose log notes the change.
        listed: the key that the roster lists for this agency.
        now: aware UTC time.
    """
    coming, keys = read_coming(directory), directory / "keys"
    if coming is None:
        destroy_secret(keys / _BEFORE)
        return False
    if coming.public != listed:
        return False
    held = read_signing(directory)
    add_earlier(directory, held.public)
    with store.write() as connection:
        _hand_over(connection, held, coming, now)
    destroy_secret(supersede(keys / SIGNING_FILE, keys / SIGNING_NEXT))
    _log.info("signing.changed", key=coming.key_id)
    return True


def check_listed(directory: Path, listed: bytes) -> None:
    """Return only if the roster lists the key that this node signs with; raises SigningUnlisted."""
    if read_signing(directory).public != listed:
        raise SigningUnlisted(
            "expected the roster to list this node's signing key; it lists another: see docs/errors.md"
        )


def _hand_over(connection: Connection, held: SigningKey, coming: SigningKey, now: datetime) -> None:
    """Have the store belong to the new key, once. The log says so, and grows: it is signed anew."""
    owner = owner_of(connection)
    if owner is None or owner.signing_key == coming.key_id:
        return
    put_owner(connection, replace(owner, signing_key=coming.key_id))
    facts = {"from": held.key_id, "to": coming.key_id}
    book.append(connection, book.make_entry("signing", {**facts}, now))
