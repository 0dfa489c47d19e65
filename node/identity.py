"""This node's own key statement: which public keys others are to use, signed by the agency's signing key.

Refuses:  to state anything below the version it stated before; equal keys give the statement held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.keyfiles import replace_file
from elsewhere.lookup import PROTOCOL_VERSION
from elsewhere.matchkeys import version as match_key_version
from elsewhere.oprf.voprf import public_key
from elsewhere.signing import open_document
from elsewhere.statement import STATEMENT_TYPE, KeyStatement, OprfKeyEntry, SealingKeyEntry, sign_statement
from node.keys import KeyRing
from node.place import one_at_a_time

FILE_NAME = "own-statement.json"
# Until epochs rotate by themselves a key must outlive a deployment's first year.
KEY_LIFETIME = timedelta(days=365)
RESTATED_BEFORE = KEY_LIFETIME / 4  # the end, at the next start


@dataclass(frozen=True, slots=True)
class OwnStatement:
    """The statement in force, as it is published, and which ones others may still name."""

    statement: KeyStatement
    envelope: bytes
    accepted: frozenset[bytes]  # digests: others learn of a new statement a moment after it is made

    @property
    def ends_utc(self) -> datetime:
        """When the first of its keys runs out."""
        sealing = [entry.not_after_utc for entry in self.statement.sealing_keys]
        return min(*sealing, *(entry.valid_until_utc for entry in self.statement.oprf_keys))


def own_statement(directory: Path, agency: str, keys: KeyRing, now: datetime) -> OwnStatement:
    """Give the statement for the keys at hand: a new version when they changed or have little time left.

    Args:
        directory: the node's folder; the statement is kept in `trust/`.
        agency: this agency's id.
        keys: all keys of the node.
        now: aware UTC time; new keys are valid from then on.

    Returns:
        The statement, signed; it may have been made and written just now.
    """
    with one_at_a_time(directory / "trust"):
        return _own_statement(directory / "trust" / FILE_NAME, agency, keys, now)


def _own_statement(path: Path, agency: str, keys: KeyRing, now: datetime) -> OwnStatement:
    """Read the statement, or make one while no other process does."""
    if not path.exists():
        return _write(path, _state(agency, keys, now), keys, frozenset())
    envelope = path.read_bytes()
    held = KeyStatement.from_json(open_document(envelope, STATEMENT_TYPE, [keys.signing.public]))
    found = OwnStatement(held, envelope, frozenset({held.digest}))
    if _same_keys(held, keys) and found.ends_utc - now > RESTATED_BEFORE:
        return found
    # A statement of other keys must not be named any more; one that only lasted less long may be.
    earlier = found.accepted if _same_keys(held, keys) else frozenset()
    return _write(path, replace(_state(agency, keys, now), version=held.version + 1), keys, earlier)


def _write(path: Path, stated: KeyStatement, keys: KeyRing, earlier: frozenset[bytes]) -> OwnStatement:
    """Sign a statement and put it in place of the one before."""
    envelope = sign_statement(keys.signing, stated)
    replace_file(path, envelope)
    return OwnStatement(stated, envelope, earlier | {stated.digest})


def _state(agency: str, keys: KeyRing, now: datetime) -> KeyStatement:
    now = now.replace(microsecond=0)
    until = now + KEY_LIFETIME
    return KeyStatement(
        agency=agency,
        version=1,
        issued_utc=now,
        sealing_keys=tuple(SealingKeyEntry(key.public, until) for key in keys.sealing),
        oprf_keys=tuple(
            OprfKeyEntry(collection, epoch, public_key(key), now - CLOCK_TOLERANCE, until)
            for (collection, epoch), key in sorted(keys.oprf.items())
        ),
        protocol_versions=(PROTOCOL_VERSION,),
        match_key_versions=(match_key_version(),),
    )


def _same_keys(held: KeyStatement, keys: KeyRing) -> bool:
    """Whether a statement is about exactly these keys and versions."""
    return (
        {entry.key_id for entry in held.sealing_keys} == {key.key_id for key in keys.sealing}
        and {(e.collection, e.epoch, e.public) for e in held.oprf_keys}
        == {(name, epoch, public_key(key)) for (name, epoch), key in keys.oprf.items()}
        and held.protocol_versions == (PROTOCOL_VERSION,)
        and held.match_key_versions == (match_key_version(),)
    )
