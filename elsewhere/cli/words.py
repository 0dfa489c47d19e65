"""What a practitioner reads for each state, strength and flag; plain words that stand without colour.

Refuses:  control characters out of other agencies' texts: on a terminal they could overwrite what was said.
"""

from __future__ import annotations

from datetime import datetime

from elsewhere.asking import Note, State
from elsewhere.lookup import Flag

NOT_KNOWN_SENTENCE = "Nothing returned does not mean not known."

# A heading, and what it means.
STATES: dict[State, tuple[str, str]] = {
    State.KNOWN_CURRENT: ("KNOWN NOW", "knows this child and works with them now"),
    State.KNOWN_PAST: ("KNOWN IN THE PAST", "knew this child in the past"),
    State.KNOWN: ("KNOWN", "knows this child; now or in the past is not said for this purpose"),
    State.POSSIBLE: ("POSSIBLE", "may know this child: call and compare; nothing else is said"),
    State.CALL_BACK: ("CALL BACK", "asks you to speak to its duty desk; nothing else is said here"),
    State.NOTHING_RETURNED: ("NOTHING RETURNED", "returned nothing, which does not mean not known"),
    State.UNREACHABLE: ("NO ANSWER", "cannot be reached"),
    State.TIMED_OUT: ("NO ANSWER", "gave no reply in time"),
    State.STALE: ("NO ANSWER", "could not be asked with its newest catalogue"),
    State.INCOMPATIBLE: ("NO ANSWER", "runs a version that does not fit ours"),
    State.MAINTENANCE: ("NO ANSWER", "is in maintenance"),
    State.RATE_LIMITED: ("NO ANSWER", "has answered as many questions as the agreement allows for now"),
    State.DENIED: ("NO ANSWER", "may not answer this question under the agreement"),
    State.REVIEW: ("NO ANSWER YET", "has passed the question to a person there"),
    State.ERROR: ("NO ANSWER", "or the way to it reported an error"),
}
STRENGTHS = {
    "IDENTIFIER": "identifier: the same NHS number or UPN",
    "STRONG": "strong: names, birth date or place agree as for one child",
    "WEAK": "weak: something agrees; it may be another child, a twin or a sibling",
}
BANDS = {
    "<7d": "within the last 7 days",
    "<30d": "within the last 30 days",
    "<6m": "within the last 6 months",
    "<12m": "within the last 12 months",
    ">12m": "more than 12 months ago",
}
FLAGS = {
    "CP_PLAN": "child protection plan",
    "LAC": "looked after child",
    "UNBORN_PLAN": "plan for an unborn child",
}


def printable(text: str) -> str:
    """Give text that a terminal only shows: control and other unprintable characters become '?'."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def describe_flag(flag: Flag) -> str:
    """Put a flag into words with its dates."""
    words = FLAGS.get(flag.code, printable(flag.code))
    if flag.start_date and flag.end_date:
        return f"{words}, {printable(flag.start_date)} to {printable(flag.end_date)}"
    if flag.start_date:
        return f"{words}, since {printable(flag.start_date)}"
    return f"{words}, until {printable(flag.end_date)}" if flag.end_date else f"{words}, dates not given"


def describe_age(days: int, *, is_stale: bool) -> str:
    """Say how old the records are that an answer rests on."""
    words = "read less than a day ago" if days < 1 else f"read {days} day{'s' if days > 1 else ''} ago"
    return f"{words} - OLDER THAN AGREED, so newer contacts may be missing" if is_stale else words


def describe_note(note: Note) -> str:
    """Say what of the person will not be used."""
    return f"{printable(note.field)}: {printable(note.message)}" if note.field else printable(note.message)


def describe_time(moment: datetime) -> str:
    """A time that cannot be mistaken for local time."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
