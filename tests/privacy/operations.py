"""What a custodian does for each dispatch: group operations, SQL, seals, signatures, appends, in order."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import Connection, event

import node.answering.custodian
import node.answering.heldkeys
import node.answering.releasing
import node.ledger.book
import node.program
from elsewhere.matchkeys import derive_record_keys
from elsewhere.oprf import group
from elsewhere.receipt import sign_receipt
from elsewhere.wire import envelope
from node.answering.custodian import Custodian, Prepared

# Function -> which argument is a batch, whose size counts; None where there is none.
_GROUP: dict[str, int | None] = {
    "multiply_each": 1,
    "multiply_pairs": 1,
    "multiply_base": None,
    "sum_elements": 0,
    "invert_scalars": 0,
    "hash_to_group": 0,
    "hash_to_scalar": None,
    "hash_to_public_scalars": 0,
    "reduce_scalar": None,
    "is_element": None,
}


@dataclass
class Trace:
    """The operations of one round of one custodian, in order."""

    custodian: str
    round: int
    steps: list[str] = field(default_factory=list)


class Operations:
    """Collects a trace for each round that any custodian works on."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []
        self._here = threading.local()
        self._of_connection: dict[int, Trace] = {}

    def clear(self) -> None:
        """Forget the traces."""
        self.traces.clear()

    def of(self, custodian: str) -> list[list[str]]:
        """The steps of a custodian's rounds, one list each."""
        return [trace.steps for trace in self.traces if trace.custodian == custodian]

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Count calls wherever the custodian makes them."""
        for name, batch in _GROUP.items():
            patch.setattr(group, name, self._counted(getattr(group, name), name, batch))
        for name in ("seal", "open_sealed", "sign_bytes", "check_signature"):
            patch.setattr(envelope, name, self._counted(getattr(envelope, name), name, None))
        sign = self._counted(sign_receipt, "sign_receipt", None)
        patch.setattr(node.answering.releasing, "sign_receipt", sign)
        derive = self._counted_each(derive_record_keys, "match key")
        patch.setattr(node.answering.heldkeys, "derive_record_keys", derive)
        patch.setattr(node.ledger.book, "append", self._counted(node.ledger.book.append, "append", None))
        patch.setattr(Custodian, "evaluate", self._traced(Custodian.evaluate, 1))
        patch.setattr(Custodian, "redeem", self._traced(Custodian.redeem, 2))

    def listen(self, running: node.program.Node) -> None:
        """Take note of a node's SQL from now on; its parameters are left out."""
        engine = running._store._engine

        def execute(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
            self._note("sql " + re.sub(r"\s+", " ", statement))

        def commit(connection: Connection) -> None:
            trace = self._of_connection.pop(id(connection), None)
            if trace is not None:
                trace.steps.append("commit")

        event.listen(engine, "before_cursor_execute", execute)
        event.listen(engine, "commit", commit)

    def _note(self, step: str) -> None:
        trace: Trace | None = getattr(self._here, "trace", None)
        if trace is not None:
            trace.steps.append(step)

    def _counted(self, function: Callable[..., Any], name: str, batch: int | None) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._note(name if batch is None else f"{name} of {len(args[batch])}")
            return function(*args, **kwargs)

        return counted

    def _counted_each(self, generator: Callable[..., Iterator[Any]], name: str) -> Callable[..., Any]:
        """Count what a generator gives, when it gives it."""

        def counted(*args: Any, **kwargs: Any) -> Iterator[Any]:
            for found in generator(*args, **kwargs):
                self._note(name)
                yield found

        return counted

    def _traced(self, method: Callable[..., Prepared], round_: int) -> Callable[..., Prepared]:
        def traced(custodian: Custodian, *args: Any, **kwargs: Any) -> Prepared:
            trace = Trace(custodian.guard.trust.me, round_)
            self.traces.append(trace)
            self._here.trace = trace
            try:
                prepared = method(custodian, *args, **kwargs)
            finally:
                self._here.trace = None
            change = prepared.change
            return prepared if change is None else replace(prepared, change=self._followed(change, trace))

        return traced

    def _followed(
        self, change: node.answering.custodian.Change, trace: Trace
    ) -> node.answering.custodian.Change:
        """The change that makes a round durable runs on another thread, within the writer's transaction."""

        def followed(connection: Connection) -> bytes:
            self._of_connection[id(connection)] = trace
            self._here.trace = trace
            try:
                return change(connection)
            finally:
                self._here.trace = None

        return followed
