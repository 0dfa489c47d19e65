"""A node's way through one query: it makes a key, checks who takes part, and finds the keys of its masks.

Holds:    the X25519 key and the drawn halves of one query, in memory only, until they have been used once.
Refuses:  a roster in which one has not signed, one stands twice, this node is missing or not as it prepared,
          somebody takes part whom the query does not name; too few members, operators or holders.
Source:   docs/protocol.md, "Studies".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from elsewhere.errors import ElsewhereError, SealBroken
from elsewhere.random import RandomBytes
from elsewhere.roster import Roster
from elsewhere.sealing import STUDY, Context, SealingKey, SealingPublic, open_sealed, seal
from elsewhere.securesum.errors import RosterRefused, SealRefused
from elsewhere.securesum.masks import pair_key
from elsewhere.securesum.prepare import MAX_PREPARE_BYTES, PREPARE_TYPE, Prepare, read_prepare, roster_hash
from elsewhere.securesum.terms import Terms, enough_operators
from elsewhere.signing import open_envelope, unverified_payload

STUDY_VERSION = 1  # of the protocol of studies
DRAWN_BYTES = 32


@dataclass(frozen=True, slots=True)
class FixedRoster:
    """Who takes part in one query, checked. No other roster is answered for it any more."""

    terms: Terms
    prepares: tuple[Prepare, ...]  # by agency id
    operators: int  # how many different ones
    rh: bytes  # 32 bytes

    def prepare_of(self, agency: str) -> Prepare | None:
        """Find one participant's prepare."""
        return next((prepare for prepare in self.prepares if prepare.agency == agency), None)


def fix_roster(terms: Terms, envelopes: Sequence[bytes], roster: Roster) -> FixedRoster:
    """Check the prepares of all that take part.

    Args:
        terms: of the query.
        envelopes: the signed prepares, as shown.
        roster: in force; it lists keys and operators.

    Raises:
        RosterRefused: one is not signed by an active member that the query names, is for another query, or
            stands twice.
        TooFewTakePart, TooFewHold: as `enough_operators`.
    """
    prepares = [_checked(terms, envelope, roster) for envelope in envelopes]
    agencies = [prepare.agency for prepare in prepares]
    if len(set(agencies)) != len(agencies) or len({prepare.epk for prepare in prepares}) != len(prepares):
        raise RosterRefused("expected each participant once, with a key of its own")
    operators = enough_operators(terms, agencies, roster)
    prepares.sort(key=lambda prepare: prepare.agency)
    return FixedRoster(terms, tuple(prepares), operators, roster_hash(terms.qid, terms.colluding, prepares))


def _checked(terms: Terms, envelope: bytes, roster: Roster) -> Prepare:
    """One participant's prepare, signed by who it names."""
    try:
        prepare = read_prepare(unverified_payload(envelope, PREPARE_TYPE))
        signer = roster.active(prepare.agency).signing_key
        open_envelope(envelope, PREPARE_TYPE, [signer], limit=MAX_PREPARE_BYTES)
    except ElsewhereError:
        raise RosterRefused("expected prepares that active members have signed; one is not") from None
    if prepare.qid != terms.qid or prepare.agency not in terms.participants:
        raise RosterRefused("expected prepares for this query, of members that it names; one is not")
    return prepare


@dataclass(frozen=True, slots=True, eq=False)
class Preparing:
    """One node's secrets for one query. Prints its agency only."""

    prepare: Prepare
    private: X25519PrivateKey = field(repr=False)
    drawn: Mapping[str, bytes] = field(repr=False)  # for those whose ids sort after this one
    seals: Mapping[str, bytes] = field(repr=False)  # what of it leaves, by who opens it

    @classmethod
    def begin(
        cls,
        agency: str,
        qid: bytes,
        sealing: Mapping[str, SealingPublic],
        *,
        left_nrho: int,
        random: RandomBytes,
    ) -> Preparing:
        """Make the key, and draw a secret for each participant whose id sorts after this one.

        The second secret is sealed with ML-KEM beside X25519: whoever records all traffic, and one day breaks
        X25519, still cannot take a mask off.

        Args:
            agency: this node's.
            qid: of the query, 32 bytes.
            sealing: the sealing keys of the other participants whose ids sort after this one.
            left_nrho: to be stated.
            random: 32 bytes for the key and 32 for each secret.

        Raises:
            MalformedKey: another's sealing key is none.
        """
        private = X25519PrivateKey.from_private_bytes(random(32))
        drawn = {other: random(DRAWN_BYTES) for other in sealing}
        seals = {
            other: seal(public, drawn[other], context=_context(agency, other, qid), size=STUDY)
            for other, public in sealing.items()
        }
        prepare = Prepare(
            agency=agency,
            qid=qid,
            epk=private.public_key().public_bytes_raw(),
            seals={other: hashlib.sha256(sealed).digest() for other, sealed in seals.items()},
            left_nrho=left_nrho,
        )
        return cls(prepare, private, drawn, seals)

    def mask_keys(
        self, roster: FixedRoster, seals: Mapping[str, bytes], sealing: Sequence[SealingKey]
    ) -> dict[str, bytes]:
        """Find the key of the mask with each other participant.

        Args:
            roster: as `fix_roster` gave it.
            seals: what those whose ids sort before this one sealed to it.
            sealing: this node's sealing keys, newest first.

        Raises:
            RosterRefused: this node is not in the roster as it prepared.
            SealRefused: a seal is missing, not the one its author signed, or does not open.
        """
        me = self.prepare.agency
        if roster.prepare_of(me) != self.prepare:
            raise RosterRefused("expected this node's own prepare among those shown")
        keys = {}
        for other in roster.prepares:
            if other.agency == me:
                continue
            if other.agency > me:
                half = self.drawn.get(other.agency, b"")
            else:
                half = self._opened(other, seals.get(other.agency, b""), sealing)
            if len(half) != DRAWN_BYTES:
                raise SealRefused("expected a secret with every participant")
            keys[other.agency] = pair_key(self._shared(other), half, roster.rh, me, other.agency)
        return keys

    def _opened(self, author: Prepare, sealed: bytes, sealing: Sequence[SealingKey]) -> bytes:
        """Open what another has sealed, once it is what it signed."""
        me = self.prepare.agency
        if author.seals.get(me) != hashlib.sha256(sealed).digest():
            raise SealRefused("expected the seal that its author has signed")
        for key in sealing:
            try:
                return open_sealed(key, sealed, context=_context(author.agency, me, author.qid))
            except SealBroken:
                continue
        raise SealRefused("expected a seal to one of this node's keys; it does not open")

    def _shared(self, other: Prepare) -> bytes:
        """The X25519 secret; RFC 7748 §6.1: a key of low order gives zeros, and is refused."""
        try:
            return self.private.exchange(X25519PublicKey.from_public_bytes(other.epk))
        except ValueError:
            raise RosterRefused("expected keys that give a shared secret; one gives none") from None


def _context(sender: str, receiver: str, qid: bytes) -> Context:
    return Context.for_study(protocol_version=STUDY_VERSION, sender=sender, receiver=receiver, qid=qid)
