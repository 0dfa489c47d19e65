"""The privacy budget: what every share cost, charged in the transaction that keeps the share.

Sees:     ids of projects and researchers, costs, times.
Refuses:  a second share for one query; what goes beyond the cap of the project, of the researcher, or of this
          node; to count at all when what was charged before cannot be known.
Promises: a row and its entry in the log become durable together, before the share leaves.
Source:   docs/privacy-proof.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, insert, select, update

from elsewhere.canonical import Json
from elsewhere.clock import CLOCK_TOLERANCE, to_ms
from elsewhere.random import RandomBytes
from node.errors import LedgerSetBack
from node.ledger import book
from node.ledger.tree import read_number
from node.store.studies import charge, settled
from node.studies import logged
from node.studies.errors import BudgetSpent, ClockWentBack, QueryAnswered
from node.studies.logged import SETTLED, STUDY


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that may be spent, in nano-rho."""

    project: int  # by everybody, as long as the project runs
    researcher: int  # by one researcher of it, as long as it runs
    node: int  # over all projects, within a period
    period: timedelta


@dataclass(frozen=True, slots=True)
class Spender:
    """Who spends."""

    project: str
    researcher: str


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of each cap, in nano-rho; never below 0."""

    project: int
    researcher: int
    node: int

    @property
    def least(self) -> int:
        """What a query may cost at most."""
        return min(self.project, self.researcher, self.node)


@dataclass(frozen=True, slots=True)
class Charge:
    """One query's cost and the share that it is for, ready to be made durable."""

    qid: bytes
    rh: bytes
    spender: Spender
    nrho: int
    until: datetime  # when the query runs out
    share: bytes = field(repr=False)
    entry: book.Entry  # which the share names by its hash


@dataclass(frozen=True, slots=True)
class Kept:
    """A share that was charged."""

    rh: bytes
    share: bytes | None = field(repr=False)  # None once its query has run out


def read_kept(connection: Connection, qid: bytes) -> Kept | None:
    """Find what was charged for a query; None if nothing was."""
    row = connection.execute(select(charge.c.rh, charge.c.share).where(charge.c.qid == qid)).one_or_none()
    return Kept(bytes(row.rh), None if row.share is None else bytes(row.share)) if row is not None else None


def read_left(connection: Connection, spender: Spender, caps: Caps, now: datetime) -> Left:
    """Tell what is left.

    Raises:
        ClockWentBack: the newest charge is of a later time than now: what lies in the period cannot be known.
        LedgerSetBack: the log was begun anew, and nobody has said since what was charged before.
    """
    if is_unsettled(connection):
        raise LedgerSetBack(
            "expected somebody to say what was charged before this node's store was restored; "
            "run 'elsewhere node budget settle'"
        )
    of_project = charge.c.project == spender.project
    of_researcher = charge.c.researcher == spender.researcher
    in_period = charge.c.time_ms > to_ms(now - caps.period)
    newest = select(func.max(charge.c.time_ms)).scalar_subquery()
    sums = (_sum(of_project), _sum(of_project, of_researcher), _sum(in_period))
    found = connection.execute(select(newest, *sums)).one()  # one statement, each part by its own index
    if found[0] is not None and found[0] > to_ms(now + CLOCK_TOLERANCE):
        raise ClockWentBack("expected a clock that goes on; the newest charge is of a later time than now")
    # The sum of big integers is a decimal on some engines.
    project, researcher, node = (int(spent) for spent in found[1:])
    return Left(
        project=max(0, caps.project - project),
        researcher=max(0, caps.researcher - researcher),
        node=max(0, caps.node - node),
    )


def is_unsettled(connection: Connection) -> bool:
    """Whether the log was begun anew, and nobody has said since what was charged before."""
    number = read_number(connection)
    found = connection.execute(select(settled.c.number).where(settled.c.number == number)).first()
    return bool(number) and found is None


def check_affordable(left: Left, nrho: int) -> None:
    """Return only if a cost is within what is left of every cap; raises BudgetSpent."""
    if nrho > left.least:
        raise BudgetSpent(asked_nrho=nrho, left_nrho=left.least)


def put_charge(connection: Connection, made: Charge, caps: Caps, now: datetime) -> None:
    """Charge, keep the share and append the entry, in the caller's transaction.

    Raises:
        QueryAnswered: this query was charged before. Nothing was changed.
        BudgetSpent, ClockWentBack, LedgerSetBack: nothing was changed.
    """
    if read_kept(connection, made.qid) is not None:
        raise QueryAnswered("expected a query that has no share yet; ask with a new one")
    check_affordable(read_left(connection, made.spender, caps, now), made.nrho)
    connection.execute(
        insert(charge).values(
            qid=made.qid,
            rh=made.rh,
            project=made.spender.project,
            researcher=made.spender.researcher,
            nrho=made.nrho,
            time_ms=to_ms(made.entry.time),
            until_ms=to_ms(made.until),
            share=made.share,
        )
    )
    book.append(connection, made.entry)


def facts_of(qid: bytes, rh: bytes, question: Json, others: list[str]) -> dict[str, Json]:
    """What the log says of a share beside its cost."""
    listed: list[Json] = [*others]
    return {"qid": qid.hex(), "rh": rh.hex(), "question": question, "others": listed}


def make_entry(
    facts: dict[str, Json], spender: Spender, nrho: int, now: datetime, random: RandomBytes
) -> book.Entry:
    """Make the log's entry of a charge: what was asked, by whom, for which roster, and what it cost."""
    said: dict[str, Json] = {"project": spender.project, "researcher": spender.researcher, "nrho": nrho}
    return book.make_entry(STUDY, {**facts, **said}, now, random=random)


def settle(
    connection: Connection,
    spent: Sequence[tuple[Spender, int]],
    reason: str,
    now: datetime,
    random: RandomBytes,
) -> bool:
    """Enter what was charged before a store was restored, as people know it; in the caller's transaction.

    Args:
        spent: who had spent how much, in nano-rho, beyond what this ledger holds.
        reason: from where that is known; it stays in the log.
        random: draws the entry's salt.

    Returns: False if there was nothing to settle; then nothing was changed.
    """
    if not is_unsettled(connection):
        return False
    number = read_number(connection)
    listed: list[Json] = [
        {"project": spender.project, "researcher": spender.researcher, "nrho": nrho}
        for spender, nrho in spent
    ]
    facts: dict[str, Json] = {"spent": listed, "reason": reason, "log": number}
    book.append(connection, book.make_entry(SETTLED, facts, now, random=random))
    logged.restore(connection)  # what the entry says was spent, as after any loss
    return True


def forget_shares(connection: Connection, now: datetime) -> None:
    """Drop the shares of queries that have run out; what they cost stays."""
    over = (charge.c.until_ms <= to_ms(now), charge.c.share.is_not(None))
    connection.execute(update(charge).where(*over).values(share=None))


def _sum(*where: ColumnElement[bool]) -> ScalarSelect[int]:
    """Add up charges."""
    return select(func.coalesce(func.sum(charge.c.nrho), 0)).where(*where).scalar_subquery()
