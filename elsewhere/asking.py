"""What a practitioner hands to the agency's own node, and what comes back: values, no transport.

Sees:     the child asked about, inside the asking agency only.
Refuses:  an empty purpose or an unknown urgency; everything else about a person is noted, never refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from elsewhere.errors import AskInvalid, DeskMalformed
from elsewhere.lookup import MAX_FLAGS, Contact, Flag
from elsewhere.person.identity import Person
from elsewhere.roster import AGENCY_ID

URGENCIES = ("RED", "AMBER", "GREEN")
MAX_CUSTODIANS = 100
MAX_NOTES = 100
MAX_PROCESSES = 1000
MAX_TEXT = 4000
MAX_RECEIPT_BYTES = 16 * 1024
_BANDS = ("", "<7d", "<30d", "<6m", "<12m", ">12m")
_LIMITS = {"case_reference": 200, "asker": 200, "basis": 64, "role": 64, "reason": 1000}
_TEXTS = ("custodian_name", "code", "clause", "remedy", "duty_contact")


def _expect(holds: bool, name: str) -> None:
    """One refusal for all fields: it names the field, never its value."""
    if not holds:
        raise DeskMalformed(f"a desk message has a {name} outside what desk.proto allows")


class State(Enum):
    """What became of one custodian's part: an answer (first six) or one of the distinct non-answers."""

    KNOWN_CURRENT = "KNOWN_CURRENT"
    KNOWN_PAST = "KNOWN_PAST"
    KNOWN = "KNOWN"  # at tier R1, which says that a child is known but not whether still
    POSSIBLE = "POSSIBLE"
    CALL_BACK = "CALL_BACK"
    NOTHING_RETURNED = "NOTHING_RETURNED"
    UNREACHABLE = "UNREACHABLE"
    TIMED_OUT = "TIMED_OUT"
    STALE = "STALE"
    INCOMPATIBLE = "INCOMPATIBLE"
    MAINTENANCE = "MAINTENANCE"
    RATE_LIMITED = "RATE_LIMITED"
    DENIED = "DENIED"
    REVIEW = "REVIEW"
    ERROR = "ERROR"

    @property
    def is_answer(self) -> bool:
        """Whether the custodian answered, be it with nothing."""
        return self in _ANSWERS

    @property
    def is_hit(self) -> bool:
        """Whether there is somebody to call about this child."""
        return self in _ANSWERS and self is not State.NOTHING_RETURNED


_ANSWERS = frozenset(
    (
        State.KNOWN_CURRENT,
        State.KNOWN_PAST,
        State.KNOWN,
        State.POSSIBLE,
        State.CALL_BACK,
        State.NOTHING_RETURNED,
    )
)


class Coverage(Enum):
    """How many of those asked answered: all, some, none."""

    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    NONE = "NONE"


class Outcome(Enum):
    """One word for a whole lookup: the strongest thing that anybody said."""

    KNOWN = "KNOWN"  # at least one agency knows the child, now or in the past
    CALL_BACK = "CALL_BACK"  # none says so, but one asks to be called through its duty desk
    POSSIBLE = "POSSIBLE"  # neither, but one holds a record that may be this child's
    NOTHING_RETURNED = "NOTHING_RETURNED"  # whoever answered returned nothing; not "not known"
    NO_ANSWER = "NO_ANSWER"  # nobody answered


@dataclass(frozen=True, slots=True)
class Ask:
    """One question about one child."""

    person: Person = field(repr=False)
    purpose: str
    urgency: str
    case_reference: str = field(default="", repr=False)
    basis: str = ""  # empty: the default for purpose and sector
    role: str = "practitioner"
    asker: str = field(default="", repr=False)  # the account that asks; leaves only as a pseudonym
    custodians: tuple[str, ...] = ()  # empty: every active member
    reason: str = field(default="", repr=False)  # in words, for this agency's own log

    def __post_init__(self) -> None:
        if not self.purpose or len(self.purpose) > 64:
            raise AskInvalid("purpose: expected one of the agreement's purposes, such as S47_ENQUIRY")
        if self.urgency not in URGENCIES:
            raise AskInvalid(f"urgency: expected one of {', '.join(URGENCIES)}")
        for name, limit in _LIMITS.items():
            if len(getattr(self, name)) > limit:
                raise AskInvalid(f"{name}: expected at most {limit} characters")
            if not getattr(self, name).isprintable():
                raise AskInvalid(f"{name}: expected printable characters on one line")
        if len(self.custodians) > MAX_CUSTODIANS or len(set(self.custodians)) != len(self.custodians):
            raise AskInvalid(f"custodians: expected at most {MAX_CUSTODIANS} agencies, each once")
        if not all(re.fullmatch(AGENCY_ID, agency) for agency in self.custodians):
            raise AskInvalid("custodians: expected agency ids, such as police")


@dataclass(frozen=True, slots=True)
class Note:
    """Something of the person that was not used, and why. Carries no value."""

    code: str
    field: str
    message: str

    def __post_init__(self) -> None:
        _expect(1 <= len(self.code) <= 64 and len(self.field) <= 64, "note")
        _expect(len(self.message) <= MAX_TEXT, "note")


@dataclass(frozen=True, slots=True)
class Started:
    """The question is on its way."""

    lookup_id: str  # 32 hex digits
    notes: tuple[Note, ...]
    custodians: tuple[str, ...]

    def __post_init__(self) -> None:
        _expect(re.fullmatch("[0-9a-f]{32}", self.lookup_id) is not None, "lookup id")
        _expect(len(self.notes) <= MAX_NOTES, "number of notes")
        _expect(len(self.custodians) <= MAX_CUSTODIANS, "number of agencies")
        _expect(all(re.fullmatch(AGENCY_ID, agency) for agency in self.custodians), "agency id")


@dataclass(frozen=True, slots=True)
class CustodianAnswer:
    """What one custodian said, or why it said nothing."""

    custodian: str
    custodian_name: str
    state: State
    strength: str = ""
    tier: str = ""
    contact: Contact = field(default_factory=Contact)
    last_contact_band: str = ""
    flags: tuple[Flag, ...] = ()
    source_age_days: int = 0
    source_stale: bool = False
    call_reference: str = ""
    code: str = ""
    clause: str = ""
    remedy: str = ""
    since: datetime | None = None
    expected_by: datetime | None = None
    duty_contact: str = ""
    receipt: bytes = field(default=b"", repr=False)
    elapsed_ms: int = 0
    no_onward: bool = False  # it may be passed on to nobody
    delete_by: datetime | None = None  # when this agency's copy is deleted, as agreed
    from_reserve: bool = False  # beyond a day's limit there, of the reserve for a child at risk today

    def __post_init__(self) -> None:
        _expect(re.fullmatch(AGENCY_ID, self.custodian) is not None, "agency id")
        _expect(self.strength in ("", "WEAK", "STRONG", "IDENTIFIER"), "strength")
        _expect(self.tier in ("", "R1", "R2", "R3"), "tier")
        _expect(self.last_contact_band in _BANDS, "last contact band")
        _expect(len(self.flags) <= MAX_FLAGS, "number of flags")
        _expect(0 <= self.source_age_days < 2**32 and 0 <= self.elapsed_ms < 2**32, "number of days or ms")
        _expect(len(self.call_reference) in (0, 8), "call reference")
        _expect(all(len(getattr(self, name)) <= MAX_TEXT for name in _TEXTS), "text")
        for moment in (self.since, self.expected_by, self.delete_by):
            _expect(moment is None or moment.tzinfo is not None, "time")
        _expect(len(self.receipt) <= MAX_RECEIPT_BYTES, "receipt")


@dataclass(frozen=True, slots=True)
class Done:
    """All custodians have answered or are accounted for."""

    coverage: Coverage
    summary: str

    def __post_init__(self) -> None:
        # A sentence about each of a hundred agencies is long but not endless.
        _expect(len(self.summary) <= 100 * MAX_TEXT, "summary")


Event = Started | CustodianAnswer | Done


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """What the node holds of one other agency."""

    custodian: str
    name: str
    has_statement: bool
    catalogue_version: int  # 0: none held

    def __post_init__(self) -> None:
        _expect(re.fullmatch(AGENCY_ID, self.custodian) is not None, "agency id")
        _expect(len(self.name) <= MAX_TEXT, "text")
        _expect(self.catalogue_version >= 0, "catalogue version")


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One of the processes that run the node, as it said itself not long ago."""

    name: str
    is_running: bool  # false: what follows is false then
    leads: bool  # publishes, asks again and cleans up for all
    is_linked: bool
    is_ready: bool
    seen_utc: datetime

    def __post_init__(self) -> None:
        _expect(re.fullmatch("[a-z][a-z0-9-]{0,31}", self.name) is not None, "process")


@dataclass(frozen=True, slots=True)
class DeskStatus:
    """Whether a lookup through this process of a node could succeed now, and what is held of whom."""

    agency: str
    is_ready: bool
    members: tuple[MemberStatus, ...]
    processes: tuple[ProcessStatus, ...] = ()  # of this node, the one asked included; by name
    second_looks_overdue: int = 0  # questions that a second person should have looked at by now
    reviews_waiting: int = 0  # questions of other agencies that a person here is to decide about

    def __post_init__(self) -> None:
        _expect(len(self.processes) <= MAX_PROCESSES, "number of processes")
        _expect(re.fullmatch(AGENCY_ID, self.agency) is not None, "agency id")
        _expect(len(self.members) <= MAX_CUSTODIANS, "number of agencies")


def outcome_of(answers: Sequence[CustodianAnswer]) -> Outcome:
    """Say in one word what came of a lookup: the strongest answer, whoever gave it."""
    states = {answer.state for answer in answers if answer.state.is_answer}
    if not states:
        return Outcome.NO_ANSWER
    if states & {State.KNOWN_CURRENT, State.KNOWN_PAST, State.KNOWN}:
        return Outcome.KNOWN
    if State.CALL_BACK in states:
        return Outcome.CALL_BACK
    return Outcome.POSSIBLE if State.POSSIBLE in states else Outcome.NOTHING_RETURNED


def coverage_of(answers: Sequence[CustodianAnswer]) -> Coverage:
    """Say whether all, some or none of those asked answered. Nobody asked is NONE."""
    answered = sum(answer.state.is_answer for answer in answers)
    if answered == 0:
        return Coverage.NONE
    return Coverage.COMPLETE if answered == len(answers) else Coverage.PARTIAL


def summarise(answers: Sequence[CustodianAnswer]) -> str:
    """Put a lookup into words that can be read out; a partial one never sounds complete."""
    answered = [answer for answer in answers if answer.state.is_answer]
    known = [answer for answer in answered if answer.state.is_hit]
    parts = [f"{len(answered)} of {len(answers)} agencies answered"]
    parts += [_absence(answer) for answer in answers if not answer.state.is_answer]
    said = "; ".join(parts) + "."
    if known:
        names = ", ".join(answer.custodian_name for answer in known)
        said += f" {len(known)} returned something to act on: {names}."
    if len(known) < len(answered):
        others = len(answered) - len(known)
        said += f" Nothing returned by {others}, which does not mean that the child is not known there."
    return said


def _absence(answer: CustodianAnswer) -> str:
    """One custodian that gave no answer: why, since when, and whom to call."""
    words = f"{answer.custodian_name} {_WHY[answer.state]}"
    if answer.since is not None:
        words += f" since {answer.since:%H:%M} UTC"
    if answer.duty_contact:
        words += f", duty desk {answer.duty_contact}"
    return words


_WHY = {
    State.UNREACHABLE: "unreachable",
    State.TIMED_OUT: "gave no reply in time",
    State.STALE: "could not be tested against its newest catalogue",
    State.INCOMPATIBLE: "runs an incompatible version",
    State.MAINTENANCE: "is in maintenance",
    State.RATE_LIMITED: "has reached a limit of the agreement",
    State.DENIED: "may not answer this under the agreement",
    State.REVIEW: "has passed the question to a person",
    State.ERROR: "reported an error",
}
