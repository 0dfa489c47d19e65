"""This node's own key statement: which public keys others are to use, signed by the agency's signing key.

Refuses:  to state anything below the version it stated before; equal keys give the statement held.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from elsewhere.keyfiles import replace_file
from elsewhere.lookup import PROTOCOL_VERSION
from elsewhere.matchkeys import version as match_key_version
from elsewhere.oprf.voprf import public_key
from elsewhere.signing import open_document
from elsewhere.statement import STATEMENT_TYPE, KeyStatement, OprfKeyEntry, SealingKeyEntry, sign_statement
from node.keys import KeyRing

FILE_NAME = "own-statement.json"
# Until epochs rotate by themselves a key must outlive a deployment's first year.
KEY_LIFETIME = timedelta(days=365)
# As much as two clocks may differ in the protocol: with a new key in force only from this node's own now,
# everybody whose clock is behind would take this node for one without keys.
CLOCK_TOLERANCE = timedelta(minutes=5)


def own_statement(directory: Path, agency: str, keys: KeyRing, now: datetime) -> tuple[KeyStatement, bytes]:
    """Give the statement for the keys at hand, a new version only when they changed.

    Args:
        directory: the node's folder; the statement is kept in `trust/`.
        agency: this agency's id.
        keys: all keys of the node.
        now: aware UTC time; new keys are valid from then on.

    Returns:
        The statement and its signed envelope.
    """
    path = directory / "trust" / FILE_NAME
    held: KeyStatement | None = None
    if path.exists():
        envelope = path.read_bytes()
        held = KeyStatement.from_json(open_document(envelope, STATEMENT_TYPE, [keys.signing.public]))
        if _same_keys(held, keys):
            return held, envelope
    stated = _state(agency, keys, now)
    if held is not None:
        stated = replace(stated, version=held.version + 1)
    envelope = sign_statement(keys.signing, stated)
    replace_file(path, envelope)
    return stated, envelope


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
