"""That a roster is still the newest: other members' machines say that they held it a moment ago.

Sees:     the roster held, and signatures with times.
Refuses:  lines of those who are no members, over another roster, or from the future.
Promises: a gateway that keeps a newer roster from a node can do so for `HARD` at most. The others, who have
          the newer one, sign the older one no more.
Source:   docs/keys.md, "How fresh a roster is"; C2SP tlog-checkpoint and tlog-cosignature, with the roster's
          version for the size and its digest for the root.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from elsewhere.clock import CLOCK_TOLERANCE, to_ms
from elsewhere.errors import RosterExpired
from elsewhere.roster import Roster
from elsewhere.signing import SigningKey
from elsewhere.transparency.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from elsewhere.transparency.note import Verifier, cosign_text
from elsewhere.transparency.witnesses import witness_name

SOFT: Final = timedelta(hours=24)  # then somebody is told
HARD: Final = timedelta(days=7)  # then nobody is asked or answered
SIGNERS: Final = 2  # other members that must have seen it; fewer where there are fewer
MAX_LINE: Final = 512  # characters


class RosterStale(RosterExpired):
    """Nobody has vouched for the roster held here for seven days, so a newer one may be kept from this node.

    Nothing is asked or answered. See that the gateway is up, and two other members.
    """

    code = "roster.stale"


def roster_checkpoint(roster: Roster) -> Checkpoint:
    """State which roster is the newest."""
    return Checkpoint(f"{roster.federation}/roster", roster.version, roster.digest)


def sign_as_gateway(roster: Roster, key: SigningKey) -> str:
    """Make the note that members' lines are put under.

    Args:
        roster: in force at the gateway.
        key: the gateway's own.
    """
    return sign_checkpoint(roster_checkpoint(roster), key).decode()


def sign_as_member(roster: Roster, me: str, key: SigningKey, now: datetime) -> str:
    """Make the line with which a member says that it holds a roster, and when.

    Args:
        roster: in force at the member.
        me: its agency id.
        key: its signing key.
        now: aware UTC time.
    """
    text = roster_checkpoint(roster).to_text()
    return cosign_text(text, witness_name(roster.federation, me), key, to_ms(now) // 1000)


def others_of(roster: Roster, me: str) -> tuple[Verifier, ...]:
    """Give the keys of the active members whose lines count for one of them."""
    return tuple(
        Verifier(witness_name(roster.federation, member.agency_id), member.signing_key, is_witness=True)
        for member in roster.active_members()
        if member.agency_id != me
    )


def fresh_at(note: bytes, roster: Roster, me: str, now: datetime) -> datetime | None:
    """Say when a roster was the newest for certain, by what others have signed.

    Args:
        note: as a gateway gave it, or as it was kept.
        roster: held here.
        me: whose own line does not count.
        now: aware UTC time; lines from after it count for nothing.

    Returns: the time by which as many others as are needed had seen it; None if too few have.

    Raises:
        NoteInvalid: over another roster, not signed by the gateway, or a member's line fails.
    """
    stated, others = roster_checkpoint(roster), others_of(roster, me)
    seen = open_checkpoint(note, stated.origin, roster.gateway_key, others)
    if seen.checkpoint != stated:
        return None
    latest = to_ms(now + CLOCK_TOLERANCE) // 1000
    times = sorted((one.at_s for one in seen.witnesses if one.at_s and one.at_s <= latest), reverse=True)
    needed = min(SIGNERS, len(others))
    if needed == 0:
        return now
    if len(times) < needed:
        return None
    return min(datetime.fromtimestamp(times[needed - 1], UTC), now)
