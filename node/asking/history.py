"""What this agency asked and was told: the log entry before, the answers after, and what opens a question.

Holds:    persons asked about, encrypted under the node's own key, for as long as a question may be opened.
Sees:     answers, which say nothing of who the child is.
Promises: a question is in the log, and can be opened, before it leaves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from elsewhere.asking import Ask, CustodianAnswer
from elsewhere.canonical import Json, canonical_json
from elsewhere.clock import to_ms
from elsewhere.database.ready import Ready
from elsewhere.person.identity import Person
from elsewhere.question import QuestionSecrets
from elsewhere.random import RandomBytes
from elsewhere.wire.convert.desk import event_from_wire, event_to_wire
from elsewhere.wire.v1 import desk_pb2
from node.keys.vault import Vault
from node.ledger import book
from node.store.engine import Store
from node.store.exchange import asked, log, opening, subject

OPENABLE_FOR = timedelta(days=30)
_RECEIPT_ONLY = 0  # as delete_ms: the answer was deleted
_ADD_OPENING = Ready(insert(opening), "lookup_id", "time_ms", "sealed")
_ADD_ANSWER = Ready(
    insert(asked), "lookup_id", "time_ms", "custodian", "call_reference", "answer", "delete_ms"
)
_TERMS = ("purpose", "urgency", "case_reference", "basis", "role", "asker")


@dataclass(frozen=True, slots=True)
class Opening:
    """A question as it was asked, with what it was made from."""

    ask: Ask
    secrets: QuestionSecrets


@dataclass(frozen=True, slots=True)
class History:
    """Writes and reads the asker's side of the store."""

    vault: Vault
    random: RandomBytes

    def begin(
        self, connection: Connection, lookup_id: str, what: Opening, facts: dict[str, Json], now: datetime
    ) -> None:
        """Log a question and keep what opens it, in the caller's transaction."""
        asked_ = {"lookup_id": lookup_id, **facts}
        book.append(connection, book.make_entry("asked", asked_, now, random=self.random))
        sealed = self.vault.seal(_opening_to_json(what), lookup_id, self.random)
        row = {"lookup_id": lookup_id, "time_ms": to_ms(now), "sealed": sealed}
        _ADD_OPENING.change(connection, row)

    def opening(self, connection: Connection, lookup_id: str) -> Opening | None:
        """Give a question again; None once it can be opened no more. Raises SealBroken if it was altered."""
        row = connection.execute(select(opening).where(opening.c.lookup_id == lookup_id)).one_or_none()
        return _opening_from_json(self.vault.open(row.sealed, lookup_id)) if row is not None else None

    def keep(
        self,
        connection: Connection,
        lookup_id: str,
        answers: Sequence[CustodianAnswer],
        *,
        now: datetime,
        kind: str = "told",
    ) -> None:
        """Keep what was told, receipts included, and log what came of it; `kind` is "told" or "late"."""
        rows = [
            {
                "lookup_id": lookup_id,
                "time_ms": to_ms(now),
                "custodian": answer.custodian,
                "call_reference": answer.call_reference or None,
                "answer": event_to_wire(answer).answer.SerializeToString(),
                "delete_ms": to_ms(answer.delete_by) if answer.delete_by else None,
            }
            for answer in answers
        ]
        for row in rows:
            _ADD_ANSWER.change(connection, row)
        if rows:
            # Denials and limits belong into the asker's log as well as into the custodian's.
            states: dict[str, Json] = {a.custodian: a.code or a.state.value for a in answers}
            facts: dict[str, Json] = {"lookup_id": lookup_id, "states": states}
            if beyond := [answer.custodian for answer in answers if answer.from_reserve]:
                facts["from_reserve"] = [*beyond]
            book.append(connection, book.make_entry(kind, facts, now, random=self.random))

    def answers(self, connection: Connection, lookup_id: str) -> list[CustodianAnswer]:
        """Give the newest answer of each custodian to a question, in the order they first came."""
        query = select(asked).where(asked.c.lookup_id == lookup_id).order_by(asked.c.id)
        newest: dict[str, CustodianAnswer] = {}
        for row in connection.execute(query):
            if row.delete_ms != _RECEIPT_ONLY:
                newest[row.custodian] = answer_of(row.answer)
        return list(newest.values())

    def receipts(self, connection: Connection, lookup_id: str) -> dict[str, bytes]:
        """Give the newest receipt of each custodian, also where its answer was deleted as agreed."""
        query = select(asked.c.custodian, asked.c.answer).where(asked.c.lookup_id == lookup_id)
        kept = connection.execute(query.order_by(asked.c.id)).all()
        found = {row.custodian: desk_pb2.AskAnswer.FromString(row.answer).receipt for row in kept}
        return {custodian: receipt for custodian, receipt in found.items() if receipt}

    def forget(self, connection: Connection, now: datetime) -> None:
        """Delete what opens questions that are too old to be opened, and answers on the day agreed.

        While a question may be opened the receipts stay: without them nobody but the custodians could say
        what was asked. They have digests of the answers, and what was permitted.
        """
        openable = to_ms(now - OPENABLE_FOR)
        connection.execute(delete(asked).where(asked.c.delete_ms <= to_ms(now), asked.c.time_ms < openable))
        due = (asked.c.delete_ms <= to_ms(now), asked.c.delete_ms != _RECEIPT_ONLY)
        for row in connection.execute(
            select(asked.c.id, asked.c.custodian, asked.c.answer).where(*due)
        ).all():
            told = desk_pb2.AskAnswer.FromString(row.answer)
            bare = desk_pb2.AskAnswer(custodian=row.custodian, receipt=told.receipt).SerializeToString()
            kept = {"answer": bare, "call_reference": None, "delete_ms": _RECEIPT_ONLY}
            connection.execute(update(asked).where(asked.c.id == row.id).values(kept))
        connection.execute(delete(opening).where(opening.c.time_ms < openable))


def find_call(store: Store, reference: str) -> list[dict[str, Any]]:
    """Give what this agency holds under a call reference: what it answered, and what it was told.

    Args:
        reference: 8 characters, in either case.
    """
    wanted = reference.strip().upper()
    with store.read() as connection:
        entries = connection.execute(
            select(log.c.seq, log.c.body, subject.c.records)
            .outerjoin(subject, subject.c.digest == log.c.digest)
            .where(log.c.call_reference == wanted)
            .order_by(log.c.seq)
        )
        found: list[dict[str, Any]] = [
            {"log": row.seq, **json.loads(row.body), "records": json.loads(row.records or "[]")}
            for row in entries
        ]
        told = connection.execute(asked.select().where(asked.c.call_reference == wanted).order_by(asked.c.id))
        for row in told:
            answer = answer_of(row.answer)
            found.append(
                {
                    "asked": row.lookup_id,
                    "custodian": row.custodian,
                    "time_ms": row.time_ms,
                    "state": answer.state.value,
                    "strength": answer.strength,
                    "tier": answer.tier,
                    "clause": answer.clause,
                    "code": answer.code,
                    "service": answer.contact.service,
                }
            )
    return found


def answer_of(stored: bytes) -> CustodianAnswer:
    """Read an answer as `keep` wrote it."""
    event = event_from_wire(desk_pb2.AskResponse(answer=desk_pb2.AskAnswer.FromString(stored)))
    if not isinstance(event, CustodianAnswer):
        raise TypeError("a stored answer is an answer")
    return event


def _opening_to_json(what: Opening) -> bytes:
    terms: dict[str, Json] = {name: getattr(what.ask, name) for name in _TERMS}
    return canonical_json(
        {
            **terms,
            "person": what.secrets.person.decode(),
            "key_version": what.secrets.key_version,
            "salt": what.secrets.salt.hex(),
            "seed": what.secrets.seed.hex(),
        }
    )


def _opening_from_json(data: bytes) -> Opening:
    found = json.loads(data)
    person = found["person"].encode()
    ask = Ask(person=Person.from_canonical(person), **{name: found[name] for name in _TERMS})
    secrets = QuestionSecrets(
        person, found["key_version"], bytes.fromhex(found["salt"]), bytes.fromhex(found["seed"])
    )
    return Opening(ask, secrets)
