"""From the first roster to the one in force: each is signed by a quorum of the stewards before it.

Sees:     envelopes from anyone; the anchor that was handed over in person.
Refuses:  a roster that the stewards held have not signed, an older one, a second one of the same version, and
          new stewards without the consent of both the old quorum and their own.
Promises: who missed versions needs only the rosters that changed the stewards since; they make the chain.
Source:   the succession of root files in The Update Framework 1.0.33 §5.3, by quorum of the old and the new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from elsewhere.anchor import Federation
from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.errors import (
    DocumentInvalid,
    ElsewhereError,
    RosterForked,
    RosterRollback,
    SignatureInvalid,
)
from elsewhere.roster import ROSTER_TYPE, Roster
from elsewhere.signing import MAX_ENVELOPE_BYTES, SigningKey, open_envelope, sign_document, unverified_payload

MAX_CHAIN: Final = 1000
SHOWN_CHAIN_BYTES: Final = 256 * 1024  # of a chain, in what a gateway shows to every member at every change


class RosterGap(ElsewhereError):
    """The stewards changed more than once since the roster held. Those rosters are needed first.

    A gateway shows the newest of them; who has been away longer accepts a new admission, which has all.
    """

    code = "roster.gap"


@dataclass(frozen=True, slots=True)
class Succession:
    """The roster in force and how it came to be: everything in it has been verified."""

    roster: Roster
    envelope: bytes
    chain: tuple[bytes, ...]  # the first roster and each that changed the stewards, up to this one

    def follow(self, envelope: bytes, chain: Sequence[bytes] = ()) -> Succession:
        """Take a later roster, after those of a chain that are later than this one.

        Returns:
            What is in force then; this very one if the envelope holds the same roster.

        Raises:
            SignatureInvalid: not signed by a quorum of the stewards before it; or of its own, if they change.
            RosterRollback: an older version. Someone withholds or replays; keep the one held.
            RosterForked: another federation, another roster of the same version, or a broken link.
            RosterGap: the chain lacks a roster that changed the stewards.
            DocumentInvalid, NotCanonical: not a roster this version can read.
        """
        held, last = self, read_roster(envelope).version
        for link in chain[:MAX_CHAIN]:
            # A later link than the roster: whoever wrote both was broken off in between.
            if held.roster.version < read_roster(link).version <= last:
                held = held._step(link)
        return held._step(envelope)

    def _step(self, envelope: bytes) -> Succession:
        """Take one roster directly after this one, or as a later one under the same stewards."""
        held, new = self.roster, read_roster(envelope)
        if new.version < held.version:
            raise RosterRollback(f"expected roster version {held.version} or above, got {new.version}")
        if new.stewards_since > held.version and not new.changes_stewards:
            raise RosterGap(
                f"expected the roster {new.stewards_since} that changed the stewards before {new.version}"
            )
        _check_signed(envelope, held)
        if new.changes_stewards:
            # Nobody becomes a steward against their will, nor with a key that they cannot use.
            _check_signed(envelope, new)
        check_successor(held, new)
        if new.version == held.version:
            return self
        return Succession(new, envelope, (*self.chain, envelope) if new.changes_stewards else self.chain)


def open_succession(anchor: Federation, chain: Sequence[bytes], envelope: bytes) -> Succession:
    """Verify a roster from the anchor on.

    Args:
        anchor: as handed over in person.
        chain: the first roster, and each since that changed the stewards.
        envelope: the roster; may be the chain's last.

    Raises:
        SignatureInvalid: the chain does not begin with the anchor's first roster, or as `Succession.follow`.
        RosterRollback, RosterForked, RosterGap, DocumentInvalid, NotCanonical: as `Succession.follow`.
    """
    first = chain[0] if chain else envelope
    genesis = read_roster(first)
    if genesis.version != 1 or genesis.digest != anchor.genesis:
        raise SignatureInvalid("expected the first roster that the anchor names; it is another")
    if genesis.federation != anchor.federation_id:
        raise SignatureInvalid(f"expected the first roster of {anchor.federation_id}; it is of another")
    _check_signed(first, genesis)
    return Succession(genesis, first, (first,)).follow(envelope, chain[1:])


def read_roster(envelope: bytes) -> Roster:
    """Read what a roster's envelope claims. Believe it only once its signatures are checked.

    Raises:
        SignatureInvalid: not an envelope of a roster.
        DocumentInvalid, NotCanonical: not a roster this version can read.
    """
    return Roster.from_json(parse_canonical(unverified_payload(envelope, ROSTER_TYPE)))


def sign_roster(keys: Sequence[SigningKey], roster: Roster) -> bytes:
    """Wrap a roster in an envelope signed with every key given."""
    return sign_document(keys, ROSTER_TYPE, roster.to_json())


def check_successor(old: Roster, new: Roster) -> None:
    """Return only if a roster fits behind (or is) the one already seen, whoever signed it.

    Raises:
        RosterRollback: an older version.
        RosterForked: another federation, another roster of the same version, or a broken link.
        DocumentInvalid: other stewards than before, without saying that they changed; or a member's key
            under another's id.
    """
    if new.federation != old.federation:
        raise RosterForked(f"expected a roster of {old.federation}; it belongs to another federation")
    if new.version < old.version:
        raise RosterRollback(f"expected roster version {old.version} or above, got {new.version}")
    if new.version == old.version and new.digest != old.digest:
        raise RosterForked(f"expected one roster of version {old.version}; two are signed")
    # A member that was away may miss versions; the link can be checked where they are adjacent.
    if new.version == old.version + 1 and new.previous_digest != old.digest:
        raise RosterForked(f"expected roster {new.version} to name the digest of {old.version}; it does not")
    _check_keys(old, new)
    is_kept = (new.stewards, new.quorum, new.stewards_since) == (old.stewards, old.quorum, old.stewards_since)
    if not new.changes_stewards and not is_kept:
        raise DocumentInvalid(
            "stewards_since", "expected this version, as the stewards are others than before"
        )


def _check_keys(old: Roster, new: Roster) -> None:
    """Return only if each key stays with its agency, and one that was replaced stays known as that."""
    owners = {key: member.agency_id for member in old.members for key in member.keys}
    for member in new.members:
        if any(owners.get(key, member.agency_id) != member.agency_id for key in member.keys):
            # Else a member who was revoked could come back under the name of another.
            raise DocumentInvalid("members", "expected each key to stay with its agency; one is another's")
        before = old.member(member.agency_id)
        if before is not None and member.keys[-len(before.keys) :] != before.keys:
            # What was signed with one proves something still; and one that was stolen must not come again.
            raise DocumentInvalid(
                "earlier_keys", "expected the keys of the roster before, and newer ones first"
            )


def shown_chain(chain: Sequence[bytes]) -> list[bytes]:
    """The newest rosters of a chain, in its order, that fit into what a gateway shows."""
    shown: list[bytes] = []
    for link in reversed(chain):
        if sum(map(len, shown)) + len(link) > SHOWN_CHAIN_BYTES:
            break
        shown.insert(0, link)
    return shown


def chain_to_bytes(chain: Sequence[bytes]) -> bytes:
    """Write a chain for a file."""
    return canonical_json([link.decode("utf-8") for link in chain])


def chain_from_bytes(file: bytes) -> tuple[bytes, ...]:
    """Read a chain's file; what is in it is yet to be verified. Raises DocumentInvalid, NotCanonical."""
    found = parse_canonical(file)
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_CHAIN:
        raise DocumentInvalid("chain", f"expected a list of 1 to {MAX_CHAIN} signed rosters")
    links: list[bytes] = []
    for link in found:
        if not isinstance(link, str) or len(link) > MAX_ENVELOPE_BYTES:
            raise DocumentInvalid("chain", "expected signed rosters")
        links.append(link.encode("utf-8"))
    return tuple(links)


def _check_signed(envelope: bytes, roster: Roster) -> None:
    """Return only if a quorum of a roster's stewards has signed an envelope; each counts once."""
    open_envelope(envelope, ROSTER_TYPE, roster.steward_keys, roster.quorum)
