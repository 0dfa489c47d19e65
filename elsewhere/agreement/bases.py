"""Which lawful bases an agency has for a purpose, so that nobody picks from the whole list.

Source:   the `basis`, `sector` and `purpose` rows of vocabulary.toml, which cite the statutes.
"""

from __future__ import annotations

from datetime import datetime

from elsewhere.agreement.vocabulary import Basis, Purpose, Sector, vocabulary
from elsewhere.errors import UnknownWord

MAX_CHOICES = 3


def may_rely(basis: Basis, sector: Sector, *, public_authority: bool) -> bool:
    """Tell whether a body of this kind may rely on a basis at all; dates and purposes aside."""
    status = {
        "any": True,
        "nobody": False,
        "public": public_authority,
        "not_public": not public_authority,
        "duty": sector.duty,
        "competent": sector.competent,
    }[basis.who]
    return status and (not basis.sectors or sector.id in basis.sectors)


def possible_bases(
    sector: str,
    purpose: str,
    now: datetime,
    *,
    public_authority: bool | None = None,
    duty_from: datetime | None = None,
) -> tuple[str, ...]:
    """List the bases an agency has for a purpose, the usual one first, at most three.

    Args:
        sector: of the agency that asks.
        purpose: why it asks.
        now: decides whether the duty to share is in force.
        public_authority: the party's own status; None: as is usual for its sector.
        duty_from: as the agreement states it; None: the vocabulary's time.

    Raises:
        UnknownWord: a sector or purpose outside the vocabulary.
    """
    body, why = _sector(sector), _purpose(purpose)
    public = body.public_authority if public_authority is None else public_authority
    starts = vocabulary().duty_from if duty_from is None else duty_from
    found = []
    if why.law_enforcement and body.competent:
        found.append("LE_S8P4")
    if why.duty and body.duty and now >= starts:
        found.append("A6C_DUTY")
    found.append("A6E_TASK" if public else "A6EA_SAFEGUARD")
    if why.about == "child":
        found.append("A6D_VITAL")
    return tuple(found[:MAX_CHOICES])


def default_basis(
    sector: str,
    purpose: str,
    now: datetime,
    *,
    public_authority: bool | None = None,
    duty_from: datetime | None = None,
) -> str:
    """Give the usual basis of an agency for a purpose: the first of `possible_bases`, with its arguments.

    Raises:
        UnknownWord: a sector or purpose outside the vocabulary.
    """
    return possible_bases(sector, purpose, now, public_authority=public_authority, duty_from=duty_from)[0]


def _sector(word: str) -> Sector:
    """Look a sector up."""
    found = vocabulary().sectors.get(word)
    if found is None:
        raise UnknownWord("sector", vocabulary().sectors)
    return found


def _purpose(word: str) -> Purpose:
    """Look a purpose up."""
    found = vocabulary().purposes.get(word)
    if found is None:
        raise UnknownWord("purpose", vocabulary().purposes)
    return found
