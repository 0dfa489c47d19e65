"""The result of a question: gathered event by event, whole at the end, and never complete when it is not.

Refuses:  events out of their order; an end that leaves an agency unaccounted for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from elsewhere.asking import (
    Coverage,
    CustodianAnswer,
    Done,
    Event,
    Note,
    Outcome,
    Started,
    State,
    coverage_of,
    outcome_of,
)
from elsewhere.canonical import Json
from elsewhere.errors import DeskMalformed, ElsewhereError
from elsewhere.fields import format_instant
from elsewhere.sdk.errors import DeskInterrupted


@dataclass(frozen=True, slots=True)
class Lookup:
    """All that came of one question, answers in the order in which they came."""

    lookup_id: str  # 32 hex digits
    notes: tuple[Note, ...]  # what of the person was not used, and why
    answers: tuple[CustodianAnswer, ...]
    coverage: Coverage
    summary: str  # can be read out

    @property
    def outcome(self) -> Outcome:
        """One word for the whole: the strongest thing that anybody said."""
        return outcome_of(self.answers)

    @property
    def is_complete(self) -> bool:
        """Whether everybody who was asked answered. Nothing returned does not mean not known even then."""
        return self.coverage is Coverage.COMPLETE

    @property
    def hits(self) -> tuple[CustodianAnswer, ...]:
        """The answers that give somebody to call about this child."""
        return tuple(answer for answer in self.answers if answer.state.is_hit)

    @property
    def unanswered(self) -> tuple[CustodianAnswer, ...]:
        """The agencies that gave no answer, each with its reason and what to do."""
        return tuple(answer for answer in self.answers if not answer.state.is_answer)

    def answer_of(self, custodian: str) -> CustodianAnswer | None:
        """Give what one agency said; None if it was not asked."""
        return next((answer for answer in self.answers if answer.custodian == custodian), None)

    def state_of(self, custodian: str) -> State | None:
        """Give the state of one agency's answer; None if it was not asked."""
        answer = self.answer_of(custodian)
        return answer.state if answer is not None else None

    def to_json(self) -> dict[str, Json]:
        """Write all of it as JSON values; nothing of the person is in it."""
        return {
            "lookup_id": self.lookup_id,
            "outcome": self.outcome.value,
            "coverage": self.coverage.value,
            "summary": self.summary,
            "notes": [{"code": n.code, "field": n.field, "message": n.message} for n in self.notes],
            "answers": [answer_to_json(answer) for answer in self.answers],
        }


def answer_to_json(answer: CustodianAnswer) -> dict[str, Json]:
    """Write one answer with every field; times as RFC 3339, the receipt as its DSSE object, or null."""
    return {
        "custodian": answer.custodian,
        "custodian_name": answer.custodian_name,
        "state": answer.state.value,
        "strength": answer.strength,
        "tier": answer.tier,
        "service": answer.contact.service,
        "contact_in_hours": answer.contact.in_hours,
        "contact_out_of_hours": answer.contact.out_of_hours,
        "last_contact_band": answer.last_contact_band,
        "flags": [{"code": f.code, "start_date": f.start_date, "end_date": f.end_date} for f in answer.flags],
        "source_age_days": answer.source_age_days,
        "source_stale": answer.source_stale,
        "call_reference": answer.call_reference,
        "code": answer.code,
        "clause": answer.clause,
        "remedy": answer.remedy,
        "since": _time(answer.since),
        "expected_by": _time(answer.expected_by),
        "duty_contact": answer.duty_contact,
        "receipt": _receipt(answer.receipt),
        "elapsed_ms": answer.elapsed_ms,
        "no_onward": answer.no_onward,
        "delete_by": _time(answer.delete_by),
        "from_reserve": answer.from_reserve,
    }


class Gathering:
    """Takes the events of one question in their order and gives the lookup at the end."""

    def __init__(self) -> None:
        self._started: Started | None = None
        self._answers: dict[str, CustodianAnswer] = {}
        self._done: Done | None = None

    def take(self, event: Event) -> None:
        """Take the next event.

        Raises:
            DeskMalformed: it has no place here: nothing before Started, nothing after Done, everybody once.
        """
        if isinstance(event, Started):
            _expect(self._started is None, "one beginning")
            self._started = event
            return
        _expect(self._started is not None and self._done is None, "events between beginning and end")
        if isinstance(event, Done):
            self._done = event
            return
        assert self._started is not None  # noqa: S101
        _expect(event.custodian in self._started.custodians, "answers of those who were asked")
        _expect(event.custodian not in self._answers, "one answer of each")
        self._answers[event.custodian] = event

    def finish(self) -> Lookup:
        """Give the whole.

        Raises:
            DeskInterrupted: the end has not come; `.answers` holds what did.
            DeskMalformed: the node calls it more complete than it is.
        """
        if self._started is None or self._done is None:
            raise self.interrupted(None)
        answers = tuple(self._answers.values())
        _expect(set(self._answers) == set(self._started.custodians), "an answer or a reason of each")
        _expect(self._done.coverage is coverage_of(answers), "the coverage that the answers give")
        return Lookup(
            self._started.lookup_id, self._started.notes, answers, self._done.coverage, self._done.summary
        )

    def interrupted(self, cause: ElsewhereError | None) -> ElsewhereError:
        """Give the error for a call that ended before its time: the cause itself if nothing had come yet."""
        if self._started is None:
            return cause or DeskInterrupted("expected your agency's node to begin; it ended the call")
        count, total = len(self._answers), len(self._started.custodians)
        why = f": {cause}" if cause is not None else ""
        return DeskInterrupted(
            f"{count} of {total} agencies had answered when your agency's node stopped{why}. Ask again",
            lookup_id=self._started.lookup_id,
            answers=tuple(self._answers.values()),
        )


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise DeskMalformed(f"expected {what}; the node's messages say otherwise")


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_instant(moment.replace(microsecond=0))


def _receipt(envelope: bytes) -> Json:
    """A DSSE envelope is JSON; its signature covers what it carries, not how it is spaced."""
    if not envelope:
        return None
    try:
        found: Json = json.loads(envelope)
    except (ValueError, RecursionError):
        return None
    return found
