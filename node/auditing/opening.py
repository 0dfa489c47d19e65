"""Opening questions to an auditor: each that was drawn was about one child, and about no other.

Sees:     the child that a drawn question was about. To be run on the premises of the agency that asked.
Promises: what was opened, and what came of it, goes into the log as well.
Source:   docs/ledger.md, "What is opened"; docs/protocol.md, "A question".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from elsewhere.canonical import Json
from elsewhere.clock import from_ms
from elsewhere.errors import ElsewhereError, OpeningInvalid, SignatureInvalid
from elsewhere.lookup import SLOTS, AnswerState, elements_digest
from elsewhere.matchkeys import question_keys
from elsewhere.person.identity import Person
from elsewhere.question import QuestionSecrets, rebuild_question
from elsewhere.receipt import open_member_receipt
from elsewhere.roster import Roster
from node.asking.history import OPENABLE_FOR, History
from node.auditing.drawing import Signed
from node.auditing.picking import Picked
from node.ledger import book
from node.store.exchange import log

ONE_CHILD: Final = "one_child"
UNPROVEN: Final = "unproven"  # nobody has signed what was asked: no custodian answered
MISSING: Final = "missing"  # what opens it, or proves what was asked, is gone, though it may be asked for
TOO_OLD: Final = "too_old"
LOST: Final = "lost"  # drawn of a log before, and not in the one begun since
_TOLD: Final = (b'"kind":"told"', b'"kind":"late"')
OTHERWISE: Final = "otherwise"  # it asked about something else than was opened


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening one entry. `person` is for the auditor's eyes alone."""

    place: int
    outcome: str
    said: Mapping[str, Any] = field(repr=False)  # the entry; of a lost one the log that it was in
    person: Person | None = field(default=None, repr=False)
    proven_by: tuple[str, ...] = ()  # custodians whose receipts say which elements were asked
    is_gone: bool = False  # what opens it is not kept any more

    @property
    def is_fault(self) -> bool:
        """Whether somebody has to answer for it."""
        return self.outcome in (MISSING, OTHERWISE, LOST)


def open_picked(
    connection: Connection, picked: Picked, history: History, roster: Roster, now: datetime
) -> Iterator[Opened]:
    """Open every question among the entries picked, and name what was drawn of a log before and is lost.

    Args:
        connection: to this agency's own store; the log in it was checked.
        picked: by what its witnesses signed.
        history: what opens questions, under this node's local key.
        roster: by which receipts are read.
        now: aware UTC time.
    """
    members = {member.agency_id for member in roster.members}
    answered: dict[str, set[str]] | None = None
    for place in picked.places():
        # What the entry says itself: the kind beside it is under no hash.
        body = connection.execute(select(log.c.body).where(log.c.seq == place + 1)).scalar_one()
        said = json.loads(body)
        if said["kind"] != "asked":
            continue
        answered = _answered(connection) if answered is None else answered
        found = _open(connection, place, said, (history, roster))
        owed = answered.get(str(said["lookup_id"]), set()) & members
        if found.outcome in (ONE_CHILD, UNPROVEN) and not owed <= {*found.proven_by}:
            found = replace(found, outcome=MISSING)
        if found.is_gone and picked.is_before(place, from_ms(int(said["time_ms"])), now - OPENABLE_FOR):
            found = replace(found, outcome=TOO_OLD)
        yield found
    for lost in picked.lost(now - OPENABLE_FOR):
        yield Opened(lost.place, LOST, {"log": lost.origin})


def _answered(connection: Connection) -> dict[str, set[str]]:
    """Who answered which question, as this agency's own log says: each has given a receipt."""
    found: dict[str, set[str]] = {}
    bodies = connection.execution_options(yield_per=1000).execute(select(log.c.body).order_by(log.c.seq))
    for body in bodies.scalars():
        if not any(word in bytes(body) for word in _TOLD):
            continue
        said = json.loads(body)
        if said["kind"] in ("told", "late"):
            names = {name for name, state in said["states"].items() if state in AnswerState.__members__}
            found.setdefault(str(said["lookup_id"]), set()).update(names)
    return found


def _open(connection: Connection, place: int, said: dict[str, Any], by: tuple[History, Roster]) -> Opened:
    """Open one question."""
    history, roster = by
    lookup = str(said["lookup_id"])
    try:
        found = history.opening(connection, lookup)
    except ElsewhereError:
        return Opened(place, OTHERWISE, said)  # what was kept of it was altered
    if found is None:
        return Opened(place, MISSING, said, is_gone=True)
    receipts = [*history.receipts(connection, lookup).values()]
    try:
        elements = _asked_elements(found.secrets, str(said["commitment"]))
        proven = tuple(sorted(_proven(receipts, roster, str(said["commitment"]), elements)))
    except ElsewhereError:
        return Opened(place, OTHERWISE, said, found.ask.person)
    return Opened(place, ONE_CHILD if proven else UNPROVEN, said, found.ask.person, proven)


def _asked_elements(secrets: QuestionSecrets, commitment: str) -> str:
    """Derive what the question must have asked; raises OpeningInvalid if it was committed to otherwise."""
    keys = question_keys(Person.from_canonical(secrets.person), slots=SLOTS)
    rebuilt = rebuild_question([key.data for key in keys], secrets, bytes.fromhex(commitment))
    return elements_digest(rebuilt.blinded)


def _proven(receipts: Sequence[bytes], roster: Roster, commitment: str, elements: str) -> Iterator[str]:
    """Name the custodians whose receipts say that these elements were asked; raises OpeningInvalid."""
    for envelope in receipts:
        try:
            receipt, member = open_member_receipt(envelope, roster)
        except SignatureInvalid:
            continue  # it proves nothing, for or against
        if (receipt.commitment, receipt.elements) != (commitment, elements):
            raise OpeningInvalid("the elements asked do not follow from the person and seed opened")
        yield member.agency_id


def log_opening(
    connection: Connection,
    opened: Sequence[Opened],
    auditor: str,
    draws: Sequence[Signed],
    now: datetime,
) -> None:
    """Note which questions were opened to whom, by whose draw of how many entries, and what came of each."""
    sizes: dict[str, Json] = {
        one.witness: max((state.checkpoint.size for state in one.states), default=0) for one in draws
    }
    outcomes: dict[str, Json] = {str(one.place): one.outcome for one in opened if one.outcome != LOST}
    lost: list[Json] = [[str(one.said["log"]), one.place] for one in opened if one.outcome == LOST]
    facts: dict[str, Json] = {"auditor": auditor, "draws": sizes, "outcomes": outcomes}
    if lost:
        facts["lost"] = lost
    book.append(connection, book.make_entry("opened", facts, now))
