"""What changed between two versions: clause by clause, and who may now ask what, or no longer.

Promises: the second part comes from the decision itself, tried on every kind of question at both versions, so
          that a rule which reads alike but does less is told, and one that does the same is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

from elsewhere.agreement.cases import URGENT
from elsewhere.agreement.decide import decide
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import Deny, Permit, QuestionFacts
from elsewhere.agreement.terms import Agreement, Party
from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.canonical import Json

_LISTS = (("parties", "agency_id", "party"), ("collections", "id", "collection"), ("rules", "id", "rule"))
_OF_RESEARCH = (
    ("tables", "id", "research table"),
    ("researchers", "id", "researcher"),
    ("projects", "id", "research project"),
)
_Lists = tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one clause; `before` or `after` is empty where it was not there."""

    clause: str
    field: str  # empty: the whole clause
    before: str
    after: str

    @property
    def text(self) -> str:
        """The change in plain words."""
        if not self.field:
            return f"is new: {self.after}" if self.after else f"is gone: {self.before}"
        if not self.before:
            return f"{self.field} is new: {self.after}"
        return f"{self.field} was {self.before}, is now {self.after or 'left out'}"

    def to_json(self) -> dict[str, Json]:
        """Write it for machines."""
        return {"clause": self.clause, "field": self.field, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Shift:
    """For one purpose, what some parties get from others, before and after."""

    searchers: tuple[str, ...]  # names
    custodians: tuple[str, ...]
    collection: str
    purpose: str
    before: str
    after: str
    is_wider: bool

    @property
    def text(self) -> str:
        """The shift in plain words."""
        purpose, collection = vocabulary().purposes[self.purpose], vocabulary().collections[self.collection]
        return (
            f"{', '.join(self.searchers)}, asking {', '.join(self.custodians)} about {collection.name} for"
            f" {purpose.name} ({purpose.id}): was {self.before}, is now {self.after}"
        )

    def to_json(self) -> dict[str, Json]:
        """Write it for machines."""
        return {
            "searchers": [*self.searchers],
            "custodians": [*self.custodians],
            "collection": self.collection,
            "purpose": self.purpose,
            "before": self.before,
            "after": self.after,
            "wider": self.is_wider,
        }


def find_changes(old: Agreement | None, new: Agreement) -> tuple[Change, ...]:
    """Compare two agreements field by field; empty exactly if nothing but the order of entries differs.

    Without an old one every field of the new one is a change.
    """
    return tuple(_compared(old.to_json() if old is not None else {}, new.to_json()))


def _compared(before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterator[Change]:
    """Compare two agreements as they are signed."""
    yield from _fields("agreement", _flat(before, _LISTS), _flat(after, _LISTS))
    yield from _fields("limits", _words(_table(before, "limits")), _words(_table(after, "limits")))
    yield from _listed(before, after, _LISTS)
    was, now = _table(before, "research"), _table(after, "research")
    yield from _fields("research", _flat(was, _OF_RESEARCH), _flat(now, _OF_RESEARCH))
    yield from _listed(was, now, _OF_RESEARCH)


def _listed(before: Mapping[str, Json], after: Mapping[str, Json], lists: _Lists) -> Iterator[Change]:
    """Compare the entries of lists by their ids."""
    for name, key, kind in lists:
        was, now = _entries(before.get(name), key), _entries(after.get(name), key)
        for entry in dict.fromkeys((*was, *now)):
            clause = f"{kind} {entry}"
            if entry not in now:
                yield Change(clause, "", _shown(was[entry]), "")
            elif entry not in was:
                yield Change(clause, "", "", _shown(now[entry]))
            else:
                yield from _fields(clause, was[entry], now[entry])


def _table(entry: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """A table within an agreement; empty where there is none."""
    found = entry.get(name)
    return found if isinstance(found, dict) else {}


def find_shifts(old: Agreement, new: Agreement, now: datetime) -> tuple[Shift, ...]:
    """Find what agencies may now ask, or no longer, and how far the answers go.

    Args:
        old: the version before.
        new: the version after.
        now: aware time; each version is tried at it, or at the nearest time at which it is in force.
    """
    old, new = old.signed_by_all(), new.signed_by_all()  # compared is what they say, not who has signed
    kinds = _kinds(old, new)
    merged: dict[_Told, tuple[str, ...]] = {}
    for asking, answering in product(kinds, kinds):
        if asking is answering and len(asking) < 2:
            continue
        pair = (asking[0].agency_id, answering[1 if asking is answering else 0].agency_id)
        for collection in vocabulary().collections.values():
            for purpose in collection.purposes:
                was = _level(old, pair, collection.id, purpose, _within(old, now))
                then = _level(new, pair, collection.id, purpose, _within(new, now))
                if was == then:
                    continue
                key = _Told(_names(asking), collection.id, purpose, was, then)
                merged[key] = (*merged.get(key, ()), *_names(answering))
    return tuple(_shift(key, custodians) for key, custodians in merged.items())


_Level = tuple[int, int, tuple[str, ...]]  # 0 no, 1 a person decides, 2 yes; tier; bases that reach it


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told once of all custodians that it holds for."""

    searchers: tuple[str, ...]
    collection: str
    purpose: str
    was: _Level
    now: _Level


def _shift(told: _Told, custodians: tuple[str, ...]) -> Shift:
    """Put what was merged into words."""
    was, now = told.was, told.now
    return Shift(
        searchers=told.searchers,
        custodians=tuple(dict.fromkeys(custodians)),
        collection=told.collection,
        purpose=told.purpose,
        before=_said(was),
        after=_said(now),
        is_wider=now[:2] > was[:2] or (now[:2] == was[:2] and set(now[2]) > set(was[2])),
    )


def _said(level: _Level) -> str:
    """A level in words."""
    if not level[0]:
        return "not answered"
    how = "answered at once" if level[0] == 2 else "decided by a person"
    return f"{how}, up to R{level[1]}, on {', '.join(level[2])}"


def _level(
    agreement: Agreement, pair: tuple[str, str], collection: str, purpose: str, now: datetime
) -> _Level:
    """The most that one agency gets from another for one purpose, and on which bases."""
    searcher, custodian = (agreement.party(agency) for agency in pair)
    words = vocabulary()
    if searcher is None or custodian is None or searcher.sector not in words.purposes[purpose].askers:
        return (0, 0, ())
    best: _Level = (0, 0, ())
    for basis in words.bases.values():
        if not basis.carries_a_question or basis.needs:
            continue
        facts = QuestionFacts(
            searcher=searcher.agency_id,
            searcher_sector=searcher.sector,
            custodian=custodian.agency_id,
            custodian_sector=custodian.sector,
            collection=collection,
            purpose=purpose,
            basis=basis.id,
            urgency=URGENT,
            role=words.purposes[purpose].askers[searcher.sector][0],
            about=words.purposes[purpose].about,
        )
        outcome = decide(facts, agreement, LocalPolicy(), now)
        if isinstance(outcome, Deny):
            continue
        reached = (2 if isinstance(outcome, Permit) else 1, int(outcome.tier))
        if reached > best[:2]:
            best = (*reached, (basis.id,))
        elif reached == best[:2]:
            best = (*reached, (*best[2], basis.id))
    return best


def _kinds(old: Agreement, new: Agreement) -> tuple[tuple[Party, ...], ...]:
    """Group agencies that neither version tells apart; each group has the newest entry of each."""
    named = {
        scope.agency
        for agreement in (old, new)
        for rule in agreement.rules
        for scope in (rule.source, rule.dest)
    }
    groups: dict[object, list[Party]] = {}
    for agency in dict.fromkeys(party.agency_id for party in (*old.parties, *new.parties)):
        entries = [agreement.party(agency) for agreement in (old, new)]
        kind = tuple((p.sector, p.is_public_authority) if p else None for p in entries)
        newest = [party for party in entries if party is not None][-1]
        groups.setdefault((kind, agency if agency in named else ""), []).append(newest)
    return tuple(tuple(group) for group in groups.values())


def _names(parties: tuple[Party, ...]) -> tuple[str, ...]:
    return tuple(party.name for party in parties)


def _within(agreement: Agreement, now: datetime) -> datetime:
    """The time nearest to now at which an agreement is in force."""
    validity = agreement.validity
    return max(validity.valid_from, min(now, validity.valid_until - timedelta(seconds=1)))


def _fields(clause: str, was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Change]:
    """Compare the fields of one clause."""
    for name in dict.fromkeys((*was, *now)):
        if was.get(name) != now.get(name):
            yield Change(clause, name, was.get(name, ""), now.get(name, ""))


def _flat(entry: Mapping[str, Json], lists: _Lists) -> dict[str, str]:
    """The fields of a table itself, without what has clauses of its own."""
    inner = {name for name, _, _ in lists} | {"limits", "research"}
    return _words({name: value for name, value in entry.items() if name not in inner})


def _entries(entries: Json, key: str) -> dict[str, dict[str, str]]:
    """The entries of a list by their ids."""
    listed = entries if isinstance(entries, list) else []
    return {str(entry[key]): _words(entry) for entry in listed if isinstance(entry, dict)}


def _words(entry: Mapping[str, Json]) -> dict[str, str]:
    """Each value as one text; an empty list is said."""
    return {name: _word(value) for name, value in entry.items()}


def _word(value: Json) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(entry: Mapping[str, str]) -> str:
    """A whole clause in one line."""
    return "; ".join(f"{name} {value}" for name, value in entry.items())
