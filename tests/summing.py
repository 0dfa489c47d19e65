"""Members that add up numbers in this process: keys from a seed, each node's rounds as it runs them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random

from elsewhere.roster import Member, Roster
from elsewhere.sealing import SealingKey
from elsewhere.securesum.masks import mask
from elsewhere.securesum.prepare import sign_prepare
from elsewhere.securesum.rounds import FixedRoster, Preparing, fix_roster
from elsewhere.securesum.share import Share, sign_share
from elsewhere.securesum.terms import Terms
from elsewhere.signing import SigningKey
from tests.partnership import first_roster

QID, LEAF = bytes(range(32)), bytes(32)
_NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


def names(count: int) -> tuple[str, ...]:
    """So many agency ids, in rising order."""
    return tuple(f"agency-{number:02}" for number in range(count))


def signing_key(agency: str) -> SigningKey:
    """The key that the roster lists for an agency, always the same."""
    return SigningKey.from_seed(hashlib.sha256(f"node of {agency}".encode()).digest())


def sealing_key(agency: str) -> SealingKey:
    """An agency's sealing key, always the same."""
    return SealingKey.generate(Random(f"sealing {agency}").randbytes)


def roster_of(agencies: Sequence[str], operators: Mapping[str, str] | None = None) -> Roster:
    """A roster of active members, each run by itself unless `operators` says who runs it."""
    run_by = operators or {}
    members = [
        Member(one, one, "POLICE", run_by.get(one, one), "active", signing_key(one).public)
        for one in agencies
    ]
    return first_roster(*members, issued=_NOW, until=_NOW + timedelta(days=90))


@dataclass(frozen=True)
class Sum:
    """One query among these agencies: what each prepares, and then its masks and share."""

    agencies: tuple[str, ...]
    roster: Roster
    terms: Terms

    @cached_property
    def nodes(self) -> dict[str, Preparing]:
        """Every node's secrets for the query."""
        return {agency: self.prepare(agency) for agency in self.agencies}

    @property
    def prepares(self) -> dict[str, bytes]:
        """Every node's signed prepare."""
        return {
            agency: sign_prepare(signing_key(agency), made.prepare) for agency, made in self.nodes.items()
        }

    def prepare(self, agency: str, seed: str = "") -> Preparing:
        """One node's secrets; another seed gives others."""
        sealing = {other: sealing_key(other).public for other in self.agencies if other > agency}
        draw = Random(f"{agency} {seed}").randbytes
        return Preparing.begin(agency, self.terms.qid, sealing, left_nrho=7, random=draw)

    def fixed(self, *agencies: str) -> FixedRoster:
        """The roster of these participants, or of all."""
        shown = [self.prepares[agency] for agency in agencies or self.agencies]
        return fix_roster(self.terms, shown, self.roster)

    def seals_for(self, agency: str) -> dict[str, bytes]:
        """What others have sealed to a node, by who did."""
        return {one: made.seals[agency] for one, made in self.nodes.items() if agency in made.seals}

    def keys(self, agency: str, fixed: FixedRoster) -> dict[str, bytes]:
        """The keys of a node's masks, as it finds them itself."""
        return self.nodes[agency].mask_keys(fixed, self.seals_for(agency), [sealing_key(agency)])

    def body(self, agency: str, values: Sequence[int], fixed: FixedRoster) -> bytes:
        """A node's masked numbers."""
        return mask(values, agency, self.keys(agency, fixed))

    def share(self, agency: str, values: Sequence[int], fixed: FixedRoster) -> bytes:
        """A node's signed share."""
        body = self.body(agency, values, fixed)
        return sign_share(signing_key(agency), Share(agency, self.terms.qid, fixed.rh, body, LEAF))


def summing(
    count: int,
    *,
    colluding: int = 1,
    min_roster: int = 2,
    operators: Mapping[str, str] | None = None,
    holders: Sequence[str] = (),
    min_holders: int = 0,
) -> Sum:
    """A query that so many agencies may take part in."""
    agencies = names(count)
    terms = Terms(QID, agencies, min_roster, colluding, tuple(holders), min_holders)
    return Sum(agencies, roster_of(agencies, operators), terms)
