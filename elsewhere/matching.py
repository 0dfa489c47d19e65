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
    """Pick the hits to reveal: as few and as telling as may be, each of another rule.

    An identifier with a name or date in it goes before the bare one, and spares revealing that. A key with
    the whole first name spares the ones with a part of it, which a twin or sibling may share. WEAK hits are
    revealed only if there is nothing stronger.

    Args:
        hits: (slot, key) in any order.

    Returns: at most `limit` of them, strongest first; () for no hits.
    """
    ranks = _rule_ranks()
    best: dict[str, tuple[int, MatchKey]] = {}
    # Within a rule the longest key is the name as written; shorter ones have a letter left out.
    for slot, key in sorted(hits, key=lambda hit: (-len(hit[1].data), hit[1].data)):
        best.setdefault(key.rule, (slot, key))
    ordered = sorted(best.values(), key=lambda hit: (-hit[1].strength, ranks[hit[1].rule].order))
    if not ordered:
        return ()
    if ordered[0][1].strength > Strength.WEAK:
        ordered = [hit for hit in ordered if hit[1].strength > Strength.WEAK]
    supported = {ranks[key.rule].identifier for _, key in ordered if ranks[key.rule].is_supported}
    is_certain = bool(supported) or any(ranks[key.rule].is_whole for _, key in ordered)
    kept: list[tuple[int, MatchKey]] = []
    for slot, key in ordered:
        rank = ranks[key.rule]
        if rank.identifier:
            # One key per identifier, the supported one if it hit.
            seen = {ranks[other.rule].identifier for _, other in kept}
            if rank.identifier in seen or (rank.identifier in supported and not rank.is_supported):
                continue
        elif is_certain and not rank.is_whole:
            continue
        kept.append((slot, key))
    return tuple(kept[:limit])


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
    """Every rule's place and kind."""
    return {
        rule.id: _Rank(
            # The supported form of an identifier stands for it.
            order=order - (1000 if len(rule.parts) > 1 else 0) * (rule.strength is Strength.IDENTIFIER),
            identifier=f"{rule.subject}.{rule.parts[0]}" if rule.strength is Strength.IDENTIFIER else "",
            is_supported=rule.strength is Strength.IDENTIFIER and len(rule.parts) > 1,
            is_whole=rule.strength is Strength.STRONG and rule.has_whole_first_name,
        )
        for order, rule in enumerate(matchkeys.rules())
    }


def _is_supported(keys: Sequence[tuple[str, Strength]]) -> bool:
    """Whether a name or birth date agrees too, in a key of its own or beside the identifier in one."""
    ranks = _rule_ranks()
    return any(
        strength < Strength.IDENTIFIER or (rule in ranks and ranks[rule].is_supported)
        for rule, strength in keys
    )
