"""What a practitioner hands to the agency's own node, and what comes back: values, no transport.

Sees:     the child asked about, inside the asking agency only.
Refuses:  an empty purpose or an unknown urgency; everything else about a person is noted, never refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from elsewhere.errors import AskInvalid
from elsewhere.lookup import Contact, Flag
from elsewhere.person.identity import Person

URGENCIES = ("RED", "AMBER", "GREEN")


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

    def __post_init__(self) -> None:
        if not self.purpose or len(self.purpose) > 64:
            raise AskInvalid("purpose: expected one of the agreement's purposes, such as S47_ENQUIRY")
        if self.urgency not in URGENCIES:
            raise AskInvalid(f"urgency: expected one of {', '.join(URGENCIES)}")
        for name in ("case_reference", "asker"):
            if len(getattr(self, name)) > 200:
                raise AskInvalid(f"{name}: expected at most 200 characters")


@dataclass(frozen=True, slots=True)
class Note:
    """Something of the person that was not used, and why. Carries no value."""

    code: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Started:
    """The question is on its way."""

    lookup_id: str  # 32 hex digits
    notes: tuple[Note, ...]
    custodians: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CustodianAnswer:
    """What one custodian said, or why it said nothing."""

    custodian: str
    custodian_name: str
    state: State
    strength: str = ""
    tier: str = ""
    contact: Contact = Contact()
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


@dataclass(frozen=True, slots=True)
class Done:
    """All custodians have answered or are accounted for."""

    coverage: Coverage
    summary: str


Event = Started | CustodianAnswer | Done


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
