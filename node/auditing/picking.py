"""Which entries of the log held here are drawn, and which drawn ones it does not hold any more.

Sees:     sizes and roots.
Refuses:  a log other than the last one that its witnesses signed.
Promises: an entry is drawn by the first signature on a state that had it, be it of a log before the one
          begun last: beginning another log draws nothing anew. What was drawn of a log before and does not
          stand in this one is named.
Source:   docs/ledger.md, "What is opened".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, select

from elsewhere.clock import from_ms
from elsewhere.transparency.draw import Draw, drawn
from elsewhere.transparency.errors import ProofBroken
from elsewhere.transparency.frontier import Frontier
from elsewhere.transparency.merkle import leaf_hash
from node.auditing.drawing import Signed
from node.store.exchange import log

UNSEEN_FOR: Final = timedelta(days=4)  # at most, for a log that is shown every minute: a long weekend


@dataclass(frozen=True, slots=True)
class Lost:
    """A place that was drawn of a log before, whose entry is not known to be in the one held."""

    origin: str  # that log
    place: int  # in it, from 0


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One witness's signatures, each with the entries that it is the first to cover."""

    held: tuple[Draw, ...]
    lost: tuple[tuple[str, Draw], ...]  # with the log that they were in

    def seen_at(self, place: int) -> datetime | None:
        """When an entry was seen first; None before the first signature, which may be the witness's first."""
        for draw in self.held:
            if draw.start <= place < draw.stop and draw.start:
                return from_ms(draw.at_s * 1000)
        return None


@dataclass(frozen=True, slots=True)
class Picked:
    """What some witnesses draw together."""

    fitted: tuple[_Fitted, ...]
    witnesses: int  # of this log, so that all draw the same share together

    def places(self) -> tuple[int, ...]:
        """Give the places that any of them draws of the log held, in order."""
        return tuple(sorted({place for one in self.fitted for place in drawn(one.held, self.witnesses)}))

    def lost(self, since: datetime) -> tuple[Lost, ...]:
        """Give what was drawn of logs before by signatures since some time, and is not held."""
        found = {
            Lost(origin, place)
            for one in self.fitted
            for origin, draw in one.lost
            if from_ms(draw.at_s * 1000) >= since
            for place in drawn([draw], self.witnesses)
        }
        return tuple(sorted(found, key=lambda one: (one.origin, one.place)))

    def is_before(self, place: int, stated: datetime, since: datetime) -> bool:
        """Whether an entry is from before a time, as far as its witnesses can tell.

        Args:
            place: of the entry, from 0.
            stated: the time in it, which whoever wrote it chose.
            since: aware UTC time.
        """
        seen = [at for one in self.fitted if (at := one.seen_at(place)) is not None]
        return (max(stated, min(seen) - UNSEEN_FOR) if seen else stated) < since


def pick(connection: Connection, signed: Sequence[Signed], witnesses: int) -> Picked:
    """Fit what witnesses signed to the log held here.

    Args:
        connection: to this agency's own store.
        signed: by each witness whose draw there is.
        witnesses: how many there are of this log.

    Raises:
        ProofBroken: the log begun last was another, or longer, when a witness saw it.
    """
    due = {state.checkpoint.size for one in signed for state in one.states}
    roots = _roots(connection, due)
    return Picked(tuple(_fit(one, roots) for one in signed), witnesses)


def _roots(connection: Connection, due: set[int]) -> dict[int, bytes]:
    """The root of the log held here at each size that it has had, and at the one it has."""
    found, roots = Frontier(), {}
    query = select(log.c.body).order_by(log.c.seq)
    for body in connection.execution_options(yield_per=1000).execute(query).scalars():
        found = found.append(leaf_hash(bytes(body)))
        if found.size in due:
            roots[found.size] = found.root
    return {**roots, found.size: found.root}


def _fit(signed: Signed, roots: Mapping[int, bytes]) -> _Fitted:
    """Tell for each signature which entries it is the first to cover, of the log held and of those before."""
    held: list[Draw] = []
    lost: list[tuple[str, Draw]] = []
    start = gone = 0  # how many entries are covered already, of the log held and of the one looked at
    origin = ""
    for state in signed.states:
        stated = state.checkpoint
        if stated.origin != origin:
            origin, gone = stated.origin, 0
        if roots.get(stated.size) == stated.root:
            if stated.size > start:
                held.append(Draw(state.signature, start, stated.size))
                start = stated.size
            continue
        if origin == signed.states[-1].checkpoint.origin:
            raise _misfit(stated.size, max(roots))
        gone = max(gone, start)
        if stated.size > gone:
            lost.append((origin, Draw(state.signature, gone, stated.size)))
            gone = stated.size
    return _Fitted(tuple(held), tuple(lost))


def _misfit(size: int, entries: int) -> ProofBroken:
    if size > entries:
        return ProofBroken(f"expected {size} entries, as a witness saw; there are {entries}")
    return ProofBroken(f"expected the log as its witness saw it at {size} entries; it is another")
