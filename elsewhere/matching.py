"""Hits -> what they mean: which ones a searcher reveals, and what a custodian makes of them.

Sees:     at the searcher, which of its own keys hit; at the custodian, which of its own records they hit.
Promises: pure and deterministic; when in doubt POSSIBLE, which says "call" and nothing else.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from elsewhere import matchkeys
from elsewhere.matchkeys import MatchKey, Strength

REVEAL_LIMIT = 4
GROUP_LIMIT = 3

GroupId = TypeVar("GroupId", bound=Hashable)


class VerdictKind(enum.Enum):
    """What may be said: nothing, an answer about one group, or only that a call is worth while."""

    NONE = "none"
    MATCH = "match"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class Verdict(Generic[GroupId]):
    """The custodian's judgement. `groups`: the best supported first, one alone for MATCH.

    `reason`: none, identifier, strong, unsupported, several, weak or many.
    """

    kind: VerdictKind
    groups: tuple[GroupId, ...]
    strength: Strength | None
    reason: str


def choose_reveals(
    hits: Iterable[tuple[int, MatchKey]], limit: int = REVEAL_LIMIT
) -> tuple[tuple[int, MatchKey], ...]:
    """Pick the hits to reveal: the most telling of each rule, then more of these rules if there is room.

    A hit may be an entry that outlived its record, with nothing behind it. More of the same rules tell a
    custodian that holds the first no more of the child, and open a record that was corrected since.

    An identifier with a name or date in it goes before the bare one, and spares revealing that. A key with
    the whole first name spares the ones with a part of it, which a twin or sibling may share. WEAK hits are
    revealed only if there is nothing stronger.

    Args:
        hits: (slot, key) in any order.

    Returns: at most `limit` of them, strongest first; () for no hits.
    """
    # Within a rule the longest key is the name as written; shorter ones have a letter left out.
    by_length = sorted(hits, key=lambda hit: (-len(hit[1].data), hit[1].data))
    best: dict[str, tuple[int, MatchKey]] = {}
    for slot, key in by_length:
        best.setdefault(key.rule, (slot, key))
    ranked = sorted(
        ((_rank_of(key.rule), slot, key) for slot, key in best.values()),
        key=lambda entry: (-entry[2].strength, entry[0].order, entry[2].rule),
    )
    strongest = max((key.strength for _, _, key in ranked), default=Strength.WEAK)
    supported = {rank.identifier for rank, _, _ in ranked if rank.is_supported}
    is_certain = bool(supported) or any(rank.is_whole for rank, _, _ in ranked)
    kept: list[tuple[int, MatchKey]] = []
    identifiers: set[str] = set()
    for rank, slot, key in ranked:
        if rank.identifier:
            # One key per identifier: the supported one, where it hit, comes first.
            is_spared = rank.identifier in identifiers
            identifiers.add(rank.identifier)
        else:
            is_spared = is_certain and not rank.is_whole
        if not is_spared and (key.strength > Strength.WEAK or strongest is Strength.WEAK):
            kept.append((slot, key))
    order = {key.rule: place for place, (_, key) in enumerate(kept)}
    more = [hit for hit in by_length if hit[1].rule in order and hit not in kept]
    more.sort(key=lambda hit: order[hit[1].rule])
    return tuple((kept + more)[:limit])


def judge(found: Mapping[GroupId, Sequence[tuple[str, Strength]]], *, names_asked: bool) -> Verdict[GroupId]:
    """Judge what the revealed keys hit.

    Args:
        found: per group of records, the (rule, strength) of each verified key that hit it.
        names_asked: whether the question held a name or birth date beside the identifier.

    Returns: MATCH for one group by a STRONG or a supported IDENTIFIER key; POSSIBLE for several groups, for
        WEAK keys alone, and for an IDENTIFIER that nothing supports though names were asked: a wrong number
        must not name another child.
    """
    hit = {group: keys for group, keys in found.items() if keys}
    if not hit:
        return Verdict(VerdictKind.NONE, (), None, "none")
    ranked = sorted(
        hit,
        key=lambda group: (
            -max(s for _, s in hit[group]),
            -len({rule for rule, _ in hit[group]}),
            str(group),
        ),
    )
    top = max(strength for _, strength in hit[ranked[0]])
    if len(ranked) > GROUP_LIMIT:
        return Verdict(VerdictKind.POSSIBLE, tuple(ranked), top, "many")
    if top is Strength.WEAK:
        return Verdict(VerdictKind.POSSIBLE, tuple(ranked), top, "weak")
    firm = tuple(group for group in ranked if max(s for _, s in hit[group]) > Strength.WEAK)
    if len(firm) > 1:
        return Verdict(VerdictKind.POSSIBLE, firm, top, "several")
    if top is Strength.STRONG:
        return Verdict(VerdictKind.MATCH, firm, top, "strong")
    if names_asked and not _is_supported(hit[firm[0]]):
        return Verdict(VerdictKind.POSSIBLE, firm, top, "unsupported")
    return Verdict(VerdictKind.MATCH, firm, top, "identifier")


@dataclass(frozen=True, slots=True)
class _Rank:
    """What choosing and judging need to know of a rule."""

    order: int
    identifier: str
    is_supported: bool
    is_whole: bool


@cache
def _rule_ranks() -> dict[str, _Rank]:
    """Every rule's place and kind; the file has the supported forms of an identifier before the bare one."""
    return {
        rule.id: _Rank(
            order=order,
            identifier=f"{rule.subject} {rule.parts[0]}" if rule.strength is Strength.IDENTIFIER else "",
            is_supported=rule.strength is Strength.IDENTIFIER and len(rule.parts) > 1,
            is_whole=rule.strength is Strength.STRONG and rule.has_whole_first_name,
        )
        for order, rule in enumerate(matchkeys.rules())
    }


def _rank_of(rule: str) -> _Rank:
    """The rank of a rule; one this key set does not know tells as little as may be."""
    return _rule_ranks().get(rule) or _Rank(
        order=len(_rule_ranks()), identifier="", is_supported=False, is_whole=False
    )


def _is_supported(keys: Sequence[tuple[str, Strength]]) -> bool:
    """Whether a name or birth date agrees too, in a key of its own or beside the identifier in one."""
    return any(strength < Strength.IDENTIFIER or _rank_of(rule).is_supported for rule, strength in keys)
