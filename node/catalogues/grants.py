"""The key of a catalogue snapshot, sealed to one member: who gets it, how it is sealed and opened.

Holds:    snapshot keys in passing.
Refuses:  a grant for another member, another catalogue or another version.

A grant is not signed: whoever swaps it gives a key that does not open what the signed statement describes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from elsewhere.catalogue.sealed import KEY_SIZE
from elsewhere.errors import RosterExpired, SealBroken
from elsewhere.lookup import PROTOCOL_VERSION
from elsewhere.published import CatalogueId
from elsewhere.sealing import CATALOGUE_KEY, Context, SealingKey, open_sealed, seal
from elsewhere.statement import SealingKeyEntry
from elsewhere.wire.v1 import catalogue_pb2
from node.membership.trust import Trust


def in_force(trust: Trust) -> frozenset[str]:
    """Name the other agencies that may hold a key: active members that are parties to the agreement.

    Nobody before there is an agreement. That the roster has run out, or a member's sealing key, takes a key
    from nobody: only its next one is not given.
    """
    agreement = trust.agreement
    if agreement is None:
        return frozenset()
    active = (member.agency_id for member in trust.roster.active_members() if member.agency_id != trust.me)
    return frozenset(agency for agency in active if agreement.party(agency) is not None)


def recipients(trust: Trust, now: datetime) -> dict[str, SealingKeyEntry]:
    """Give each agency that may ask this one, with the key to seal to now.

    An agency without a key statement is left out, and everybody on an expired roster. What an agency may
    ask is decided when it asks: a catalogue alone answers nothing.
    """
    try:
        others = trust.others(now)
    except RosterExpired:
        return {}
    parties = in_force(trust)
    found: dict[str, SealingKeyEntry] = {}
    for member in others:
        statement = trust.statements.get(member.agency_id)
        entry = statement.sealing_key(now) if statement is not None else None
        if entry is not None and member.agency_id in parties:
            found[member.agency_id] = entry
    return found


def seal_grant(key: bytes, snapshot: CatalogueId, searcher: str, to: SealingKeyEntry) -> bytes:
    """Seal a snapshot's key to one searcher; always the same size.

    Args:
        key: 32 bytes.
        snapshot: the catalogue, at the snapshot's version.
        searcher: the receiving agency's id.
        to: its current sealing key.
    """
    return seal(to.public, key, context=_context(snapshot, searcher), size=CATALOGUE_KEY)


def seal_grants(
    key: bytes, snapshot: CatalogueId, to: Mapping[str, SealingKeyEntry]
) -> list[catalogue_pb2.KeyGrant]:
    """Seal a snapshot's key to each of these members. Arguments as `seal_grant`, the members by their ids."""
    return [
        catalogue_pb2.KeyGrant(searcher=agency, sealed=seal_grant(key, snapshot, agency, entry))
        for agency, entry in to.items()
    ]


def open_grant(sealed: bytes, snapshot: CatalogueId, searcher: str, keys: Sequence[SealingKey]) -> bytes:
    """Open the grant of one's own.

    Args:
        keys: this node's sealing keys, newest first; the grant may be older than the newest.

    Raises:
        SealBroken: it opens under none of them, or holds no key. Its custodian has to seal another.
    """
    for key in keys:
        try:
            opened = open_sealed(key, sealed, context=_context(snapshot, searcher))
        except SealBroken:
            continue
        if len(opened) == KEY_SIZE:
            return opened
    raise SealBroken("expected the key of a snapshot, sealed to this node; it does not open")


def _context(snapshot: CatalogueId, searcher: str) -> Context:
    """Name the place of a grant: from whom, to whom, and the key of what."""
    return Context.for_catalogue_key(
        protocol_version=PROTOCOL_VERSION,
        sender=snapshot.custodian,
        receiver=searcher,
        catalogue=snapshot.bind(b"key", 0, 1),
    )
