"""Whatever somebody writes of a child reaches the node as it was written."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

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
from elsewhere.lookup import Contact, Flag
from elsewhere.person.dates import PartialDate, parse_date
from elsewhere.person.identity import NAME_USES, Name, Person, Unborn
from elsewhere.wire.convert.desk import (
    ask_from_wire,
    ask_to_wire,
    event_from_wire,
    event_to_wire,
    status_from_wire,
    status_to_wire,
)
from elsewhere.wire.v1 import desk_pb2

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12)
AGENCY = st.from_regex("[a-z][a-z0-9-]{1,31}", fullmatch=True)
NUMBER = st.none() | TEXT.filter(bool)
NAMES = st.builds(Name, st.lists(TEXT, max_size=3).map(tuple), TEXT, st.sampled_from(NAME_USES))
KNOWN = st.builds(PartialDate, st.dates(datetime.date(1, 1, 1)), st.text("AEU", min_size=3, max_size=3))
# Text that reads as a date arrives as that date, so only text that is none can be kept as written.
UNREADABLE = TEXT.filter(lambda text: not (read := parse_date(text, ("%Y-%m-%d",))) or read.date is None)
DATES = st.none() | KNOWN | st.builds(PartialDate, st.none(), st.just("UUU"), UNREADABLE)
UNBORN = st.builds(Unborn, st.lists(NAMES, max_size=3).map(tuple), DATES, NUMBER, DATES)
PERSONS = st.builds(
    Person,
    st.lists(NAMES, max_size=4).map(tuple),
    DATES,
    st.lists(TEXT, max_size=3).map(tuple),
    NUMBER,
    NUMBER,
    st.none() | UNBORN,
)
LINE = TEXT.filter(str.isprintable)
ASKS = st.builds(
    Ask,
    person=PERSONS,
    purpose=LINE.filter(bool),
    urgency=st.sampled_from(("RED", "AMBER", "GREEN")),
    case_reference=LINE,
    basis=LINE,
    role=LINE.filter(bool),
    asker=LINE,
    custodians=st.lists(AGENCY, max_size=3, unique=True).map(tuple),
)
TIMES = st.none() | st.datetimes(
    datetime.datetime(2000, 1, 1), datetime.datetime(9000, 1, 1), timezones=st.just(datetime.UTC)
).map(lambda moment: moment.replace(microsecond=0))
ANSWERS = st.builds(
    CustodianAnswer,
    custodian=AGENCY,
    custodian_name=TEXT,
    state=st.sampled_from(State),
    strength=st.sampled_from(("", "WEAK", "STRONG", "IDENTIFIER")),
    tier=st.sampled_from(("", "R1", "R2", "R3")),
    contact=st.builds(Contact, TEXT, TEXT, TEXT),
    last_contact_band=st.sampled_from(("", "<7d", "<30d", "<6m", "<12m", ">12m")),
    flags=st.lists(st.builds(Flag, TEXT.filter(bool), st.sampled_from(("", "2026-01-01"))), max_size=8).map(
        tuple
    ),
    source_age_days=st.integers(0, 2**32 - 1),
    source_stale=st.booleans(),
    call_reference=st.sampled_from(("", "A1B2C3D4")),
    code=TEXT,
    clause=TEXT,
    remedy=TEXT,
    since=TIMES,
    expected_by=TIMES,
    duty_contact=TEXT,
    receipt=st.binary(max_size=20),
    elapsed_ms=st.integers(0, 2**32 - 1),
)
STARTED = st.builds(
    Started,
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.lists(st.builds(Note, TEXT.filter(bool), TEXT, TEXT), max_size=3).map(tuple),
    st.lists(AGENCY, max_size=3).map(tuple),
)
EVENTS = ANSWERS | STARTED | st.builds(Done, st.sampled_from(Coverage), TEXT)
PROCESSES = st.builds(
    ProcessStatus,
    st.from_regex("[a-z][a-z0-9-]{0,31}", fullmatch=True),
    is_running=st.booleans(),
    leads=st.booleans(),
    is_linked=st.booleans(),
    is_ready=st.booleans(),
    seen_utc=TIMES.filter(bool).map(lambda at: at and at.replace(microsecond=0)),
)
STATUSES = st.builds(
    DeskStatus,
    AGENCY,
    st.booleans(),
    st.lists(st.builds(MemberStatus, AGENCY, TEXT, st.booleans(), st.integers(0, 2**63)), max_size=3).map(
        tuple
    ),
    st.lists(PROCESSES, max_size=3).map(tuple),
)


@given(ASKS)
def test_a_question_arrives_as_it_was_asked(ask: Ask) -> None:
    sent = ask_to_wire(ask).SerializeToString()

    arrived = ask_from_wire(desk_pb2.AskRequest.FromString(sent))

    # An unborn child of whom nothing is said is nevertheless an unborn child.
    assert arrived == ask
    assert arrived.person.canonical() == ask.person.canonical()


@given(EVENTS)
def test_an_event_arrives_as_it_was_sent(event: Event) -> None:
    sent = event_to_wire(event).SerializeToString()

    assert event_from_wire(desk_pb2.AskResponse.FromString(sent)) == event


@given(STATUSES)
def test_a_status_arrives_as_it_was_sent(status: DeskStatus) -> None:
    sent = status_to_wire(status).SerializeToString()

    assert status_from_wire(desk_pb2.StatusResponse.FromString(sent)) == status
