"""Desk messages between generated types and checked values, for the node and for whoever asks it.

Sees:     the child asked about, inside the asking agency only.
Refuses:  sizes and words outside desk.proto, by the name of the field and never its value.
Source:   proto/elsewhere/wire/v1/desk.proto.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from elsewhere.asking import (
    Ask,
    Coverage,
    CustodianAnswer,
    DeskStatus,
    Done,
    Event,
    MemberStatus,
    Note,
    ProcessStatus,
    Started,
    State,
)
from elsewhere.errors import AskInvalid, DeskMalformed, DocumentInvalid, LookupMalformed
from elsewhere.fields import as_instant, format_instant
from elsewhere.lookup import Contact, Flag
from elsewhere.wire.convert.desk_person import person_from_wire, person_to_wire
from elsewhere.wire.v1 import desk_pb2

MAX_ASK_BYTES = 64 * 1024
# An event with a receipt, eight flags and texts at their limits.
MAX_EVENT_BYTES = 1024 * 1024


def ask_to_wire(ask: Ask) -> desk_pb2.AskRequest:
    """Encode a question for one's own node.

    Raises:
        AskInvalid: so many long names that it is over MAX_ASK_BYTES; leave some out.
    """
    message = desk_pb2.AskRequest(
        person=person_to_wire(ask.person),
        purpose=ask.purpose,
        urgency=ask.urgency,
        case_reference=ask.case_reference,
        basis=ask.basis,
        role=ask.role,
        asker=ask.asker,
        custodians=ask.custodians,
        reason=ask.reason,
    )
    if message.ByteSize() > MAX_ASK_BYTES:
        raise AskInvalid(f"person: expected a question of at most {MAX_ASK_BYTES} bytes; leave names out")
    return message


def ask_from_wire(message: desk_pb2.AskRequest) -> Ask:
    """Read and check a question.

    Raises:
        AskInvalid: no person, no purpose, an unknown urgency, or a field out of bounds.
        PersonMalformed: something of the person that no record can hold; `.field` says which.
    """
    if not message.HasField("person"):
        raise AskInvalid("person: expected a person; there is none")
    return Ask(
        person=person_from_wire(message.person),
        purpose=message.purpose,
        urgency=message.urgency,
        case_reference=message.case_reference,
        basis=message.basis,
        role=message.role or "practitioner",
        asker=message.asker,
        custodians=tuple(message.custodians),
        reason=message.reason,
    )


def event_to_wire(event: Event) -> desk_pb2.AskResponse:
    """Encode what the node tells the asker."""
    if isinstance(event, Started):
        return desk_pb2.AskResponse(started=_started_to_wire(event))
    if isinstance(event, CustodianAnswer):
        return desk_pb2.AskResponse(answer=_answer_to_wire(event))
    return desk_pb2.AskResponse(done=desk_pb2.AskDone(coverage=event.coverage.value, summary=event.summary))


def event_from_wire(message: desk_pb2.AskResponse) -> Event | None:
    """Read and check an event; None for a kind that a later version may add, to be passed over.

    Raises:
        DeskMalformed: an unknown state or coverage, or a field out of bounds.
    """
    try:
        kind = message.WhichOneof("event")
        if kind == "started":
            return _started_from_wire(message.started)
        if kind == "answer":
            return _answer_from_wire(message.answer)
        return _done_from_wire(message.done) if kind == "done" else None
    except (LookupMalformed, DocumentInvalid):
        raise DeskMalformed("a desk message has a flag, contact or time outside desk.proto") from None


def status_to_wire(status: DeskStatus) -> desk_pb2.StatusResponse:
    """Encode the node's readiness."""
    members = (
        desk_pb2.StatusMember(
            custodian=member.custodian,
            name=member.name,
            statement=member.has_statement,
            catalogue_version=member.catalogue_version,
        )
        for member in status.members
    )
    processes = (
        desk_pb2.StatusProcess(
            name=process.name,
            running=process.is_running,
            leads=process.leads,
            linked=process.is_linked,
            ready=process.is_ready,
            seen=_time_to_wire(process.seen_utc),
        )
        for process in status.processes
    )
    return desk_pb2.StatusResponse(
        agency=status.agency,
        ready=status.is_ready,
        members=members,
        processes=processes,
        second_looks_overdue=status.second_looks_overdue,
        reviews_waiting=status.reviews_waiting,
    )


def status_from_wire(message: desk_pb2.StatusResponse) -> DeskStatus:
    """Read and check the node's readiness; raises DeskMalformed."""
    members = (
        MemberStatus(found.custodian, found.name, found.statement, found.catalogue_version)
        for found in message.members
    )
    processes = (_process_from_wire(found) for found in message.processes)
    waiting = (message.second_looks_overdue, message.reviews_waiting)
    return DeskStatus(message.agency, message.ready, tuple(members), tuple(processes), *waiting)


def _process_from_wire(found: desk_pb2.StatusProcess) -> ProcessStatus:
    try:
        seen = as_instant(found.seen, "seen")
    except DocumentInvalid:
        raise DeskMalformed("a desk message has a time outside what desk.proto allows") from None
    return ProcessStatus(
        found.name,
        is_running=found.running,
        leads=found.leads,
        is_linked=found.linked,
        is_ready=found.ready,
        seen_utc=seen,
    )


def history_to_wire(answers: Iterable[CustodianAnswer]) -> desk_pb2.HistoryResponse:
    """Encode what was told about an earlier question."""
    return desk_pb2.HistoryResponse(answers=[_answer_to_wire(answer) for answer in answers])


def history_from_wire(message: desk_pb2.HistoryResponse) -> tuple[CustodianAnswer, ...]:
    """Read and check what was told about an earlier question; raises DeskMalformed."""
    events = (event_from_wire(desk_pb2.AskResponse(answer=answer)) for answer in message.answers)
    return tuple(event for event in events if isinstance(event, CustodianAnswer))


def _started_to_wire(event: Started) -> desk_pb2.AskStarted:
    notes = (desk_pb2.AskNote(code=n.code, field=n.field, message=n.message) for n in event.notes)
    return desk_pb2.AskStarted(lookup_id=event.lookup_id, notes=notes, custodians=event.custodians)


def _started_from_wire(found: desk_pb2.AskStarted) -> Started:
    notes = tuple(Note(note.code, note.field, note.message) for note in found.notes)
    return Started(found.lookup_id, notes, tuple(found.custodians))


def _answer_to_wire(event: CustodianAnswer) -> desk_pb2.AskAnswer:
    return desk_pb2.AskAnswer(
        custodian=event.custodian,
        custodian_name=event.custodian_name,
        state=event.state.value,
        strength=event.strength,
        tier=event.tier,
        service=event.contact.service,
        contact_in_hours=event.contact.in_hours,
        contact_out_of_hours=event.contact.out_of_hours,
        last_contact_band=event.last_contact_band,
        flags=_flags_to_wire(event.flags),
        source_age_days=event.source_age_days,
        source_stale=event.source_stale,
        call_reference=event.call_reference,
        code=event.code,
        clause=event.clause,
        remedy=event.remedy,
        since=_time_to_wire(event.since),
        expected_by=_time_to_wire(event.expected_by),
        duty_contact=event.duty_contact,
        receipt=event.receipt,
        elapsed_ms=event.elapsed_ms,
        no_onward=event.no_onward,
        delete_by=_time_to_wire(event.delete_by),
        from_reserve=event.from_reserve,
    )


def _answer_from_wire(found: desk_pb2.AskAnswer) -> CustodianAnswer:
    if found.state not in State.__members__:
        raise DeskMalformed("a desk message has a state outside what desk.proto allows")
    return CustodianAnswer(
        custodian=found.custodian,
        custodian_name=found.custodian_name,
        state=State[found.state],
        strength=found.strength,
        tier=found.tier,
        contact=Contact(found.service, found.contact_in_hours, found.contact_out_of_hours),
        last_contact_band=found.last_contact_band,
        flags=tuple(Flag(flag.code, flag.start_date, flag.end_date) for flag in found.flags),
        source_age_days=found.source_age_days,
        source_stale=found.source_stale,
        call_reference=found.call_reference,
        code=found.code,
        clause=found.clause,
        remedy=found.remedy,
        since=_time_from_wire(found.since),
        expected_by=_time_from_wire(found.expected_by),
        duty_contact=found.duty_contact,
        receipt=found.receipt,
        elapsed_ms=found.elapsed_ms,
        no_onward=found.no_onward,
        delete_by=_time_from_wire(found.delete_by),
        from_reserve=found.from_reserve,
    )


def _done_from_wire(found: desk_pb2.AskDone) -> Done:
    if found.coverage not in Coverage.__members__:
        raise DeskMalformed("a desk message has a coverage outside what desk.proto allows")
    return Done(Coverage[found.coverage], found.summary)


def _flags_to_wire(flags: Iterable[Flag]) -> list[desk_pb2.AskFlag]:
    return [desk_pb2.AskFlag(code=f.code, start_date=f.start_date, end_date=f.end_date) for f in flags]


def _time_to_wire(moment: datetime | None) -> str:
    """RFC 3339 in whole seconds; empty for a time not known."""
    return "" if moment is None else format_instant(moment.replace(microsecond=0))


def _time_from_wire(text: str) -> datetime | None:
    return as_instant(text, "time") if text else None
