"""Opening: every signed share of one query and one roster, added again by whoever reads the answer.

Sees:     masked shares; their sum, with noise in it.
Refuses:  a share too few or too many; one that its node has not signed, or made for another query, roster or
          length. So whoever relays shares cannot change the sum unseen, leave one out or put one in.
Source:   docs/protocol.md, "Studies".
"""

from __future__ import annotations

from collections.abc import Mapping

from elsewhere.errors import ElsewhereError
from elsewhere.roster import Roster
from elsewhere.securesum.errors import SharesApart
from elsewhere.securesum.masks import WORD_BYTES, open_total
from elsewhere.securesum.rounds import FixedRoster
from elsewhere.securesum.share import Share, open_share


def open_shares(fixed: FixedRoster, envelopes: Mapping[str, bytes], roster: Roster, width: int) -> list[int]:
    """Check every participant's share, and add them.

    Args:
        fixed: who takes part, as `fix_roster` found from the signed prepares.
        envelopes: the signed share of each participant, by agency id.
        roster: in force; it lists the keys.
        width: how many numbers the query asks for.

    Returns:
        `width` totals on the noise's lattice: 16 times the sum plus all noise.

    Raises:
        SharesApart: there is no sum. What was charged stands; ask with a new query.
    """
    agencies = {prepare.agency for prepare in fixed.prepares}
    if envelopes.keys() != agencies:
        raise SharesApart(f"expected the shares of {len(agencies)} participants, and of nobody else")
    shares = [_checked(agency, envelope, fixed, roster) for agency, envelope in envelopes.items()]
    if any(len(share.body) != WORD_BYTES * width for share in shares):
        raise SharesApart(f"expected {width} numbers in every share")
    return open_total([share.body for share in shares], width)


def _checked(agency: str, envelope: bytes, fixed: FixedRoster, roster: Roster) -> Share:
    """One participant's share, signed by it for this query and roster."""
    try:
        share = open_share(envelope, roster.active(agency).signing_key)
    except ElsewhereError:
        raise SharesApart("expected shares that active members have signed; one is not") from None
    if (share.agency, share.qid, share.rh) != (agency, fixed.terms.qid, fixed.rh):
        raise SharesApart("expected shares of this query and roster, each of who it is brought for")
    return share
