"""Questions of this agency that a second person looks at: on the asker's own word, or beyond a limit.

Sees:     account, purpose and reason; never the child.
Refuses:  a further such question while one is overdue; a look by whoever asked.
Promises: question and wait are durable together, before anybody is asked; what was found is in the log.
Source:   docs/break-glass.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from elsewhere.asking import Ask, CustodianAnswer
from elsewhere.clock import Clock, from_ms, to_ms
from elsewhere.secondlook import (
    MAX_LOOKS,
    MAX_NOTE,
    SamePerson,
    SecondLook,
    SecondLookGone,
    SecondLookOverdue,
    SecondOpinion,
)
from elsewhere.workdays import end_of_next_working_day
from node.ledger import book
from node.store.engine import Store
from node.store.reviewing import second_look
from node.store.writer import Writer

BEYOND: Final = "answered beyond a day's limit, from the reserve for RED, by"


def await_look(connection: Connection, lookup_id: str, ask: Ask, now: datetime) -> None:
    """Have a second person look at a question, in the transaction that logs it.

    Raises:
        SecondLookOverdue: there is one that nobody has looked at in time.
    """
    if overdue := count_overdue(connection, now):
        raise SecondLookOverdue(
            f"expected a second person to have looked at {overdue} earlier such question(s) by now; "
            "see 'elsewhere node second-look list'. If a child is at risk, call the duty desks"
        )
    _add(connection, lookup_id, ask, now)


def await_after(
    connection: Connection, lookup_id: str, ask: Ask, answers: Iterable[CustodianAnswer], now: datetime
) -> None:
    """Have a second person look at a question that was answered beyond a limit, in the caller's transaction.

    Whoever answered says so, after it was asked. So nothing is refused here: a child is at risk today.
    """
    beyond = sorted(answer.custodian for answer in answers if answer.from_reserve)
    waits = select(second_look.c.lookup_id).where(second_look.c.lookup_id == lookup_id)
    if not beyond or connection.execute(waits).first() is not None:
        return
    reason = f"{BEYOND} {', '.join(beyond)}"
    reason = f"{reason}. {ask.reason}" if ask.reason else reason
    _add(connection, lookup_id, replace(ask, reason=reason[:MAX_NOTE]), now)


def _add(connection: Connection, lookup_id: str, ask: Ask, now: datetime) -> None:
    row = {
        "lookup_id": lookup_id,
        "asker": ask.asker,
        "purpose": ask.purpose,
        "reason": ask.reason,
        "asked_ms": to_ms(now),
        "due_ms": to_ms(end_of_next_working_day(now)),
    }
    connection.execute(insert(second_look), row)


def count_overdue(connection: Connection, now: datetime) -> int:
    """How many questions a second person should have looked at by now."""
    overdue = select(func.count()).select_from(second_look).where(second_look.c.due_ms <= to_ms(now))
    return int(connection.execute(overdue).scalar_one())


def give(connection: Connection, opinion: SecondOpinion, who: str, now: datetime) -> None:
    """Record what the second person found, in the log; in the caller's transaction.

    Raises:
        SecondLookGone: no such question waits.
        SamePerson: it is the asker who looks.
    """
    row = connection.execute(
        select(second_look).where(second_look.c.lookup_id == opinion.lookup_id)
    ).one_or_none()
    if row is None:
        raise SecondLookGone("expected a question that waits for a second person; none has this number")
    if row.asker.strip().casefold() == who.strip().casefold():
        raise SamePerson("expected another person than the one who asked")
    connection.execute(delete(second_look).where(second_look.c.lookup_id == opinion.lookup_id))
    facts = {
        "lookup_id": opinion.lookup_id,
        "asker": row.asker,
        "purpose": row.purpose,
        "reason": row.reason,
        "justified": opinion.justified,
        "note": opinion.note,
        "by": who,
        "was_overdue": row.due_ms <= to_ms(now),
    }
    book.append(connection, book.make_entry("second_look", facts, now))


@dataclass(frozen=True, slots=True)
class SecondLooks:
    """The list as the desk serves it. Methods block."""

    store: Store
    writer: Writer
    clock: Clock

    def waiting(self) -> list[SecondLook]:
        """Give those that wait, the first due at the front."""
        query = select(second_look).order_by(second_look.c.due_ms, second_look.c.lookup_id).limit(MAX_LOOKS)
        with self.store.read() as connection:
            return [
                SecondLook(
                    row.lookup_id,
                    row.asker,
                    row.purpose,
                    row.reason,
                    from_ms(row.asked_ms),
                    from_ms(row.due_ms),
                )
                for row in connection.execute(query)
            ]

    def overdue(self) -> int:
        """How many are late."""
        with self.store.read() as connection:
            return count_overdue(connection, self.clock())

    def give(self, opinion: SecondOpinion, who: str) -> None:
        """Record an opinion durably; raises SecondLookGone, SamePerson, LogUnavailable."""
        self.writer.submit(partial(give, opinion=opinion, who=who, now=self.clock())).result()
