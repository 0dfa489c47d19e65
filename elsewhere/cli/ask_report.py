"""How a lookup is shown to a practitioner: each answer as it comes, in words, within 80 columns.

Promises: colour repeats what words say; nothing of the person is printed.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from elsewhere.asking import CustodianAnswer, Done, Event, Started
from elsewhere.cli.words import (
    BANDS,
    NOT_KNOWN_SENTENCE,
    STATES,
    STRENGTHS,
    describe_age,
    describe_flag,
    describe_note,
    describe_time,
    printable,
)

_INDENT = 17  # of what stands behind a label


def show_event(console: Console, event: Event) -> None:
    """Print one event of a lookup."""
    if isinstance(event, Started):
        _show_start(console, event)
    elif isinstance(event, Done):
        _show_end(console, event)
    else:
        _show_answer(console, event)


def describe_answer(answer: CustodianAnswer) -> list[tuple[str, str]]:
    """Put an answer into labelled lines, in the order in which they help; what is not known has no line."""
    if not answer.state.is_answer:
        return _kept(_describe_absence(answer))
    contact = answer.contact
    call = answer.state.is_hit
    return _kept(
        [
            ("match", STRENGTHS.get(answer.strength, "") if call else ""),
            ("service", contact.service),
            ("call", contact.in_hours),
            ("out of hours", contact.out_of_hours),
            ("duty desk", answer.duty_contact if call and not contact.in_hours else ""),
            ("last contact", BANDS.get(answer.last_contact_band, "")),
            *(("flag", describe_flag(flag)) for flag in answer.flags),
            ("do", answer.remedy),
            ("records", describe_age(answer.source_age_days, is_stale=answer.source_stale)),
            ("quote on call", answer.call_reference),
            (
                "pass on",
                "to nobody, as the agreement says" if answer.no_onward else "",
            ),
            ("deleted by", describe_time(answer.delete_by) if answer.delete_by else ""),
            ("limit", "beyond the day's; a second person looks at it" if answer.from_reserve else ""),
        ]
    )


def _describe_absence(answer: CustodianAnswer) -> list[tuple[str, str]]:
    """Why there is no answer, and what to do instead."""
    return [
        ("since", describe_time(answer.since) if answer.since else ""),
        ("answer due by", describe_time(answer.expected_by) if answer.expected_by else ""),
        ("rule", answer.clause),
        ("do", answer.remedy),
        ("duty desk", answer.duty_contact),
        ("quote on call", answer.call_reference),
        ("code", answer.code),
    ]


def _kept(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(label, printable(text)) for label, text in lines if text]


def _show_start(console: Console, event: Started) -> None:
    _put(console, Text(f"Asking {len(event.custodians)}: {', '.join(event.custodians)}"))
    _put(console, Text(f"Lookup {event.lookup_id}"))
    for note in event.notes:
        _put(console, Text(f"Not used - {describe_note(note)}"))


def _show_answer(console: Console, answer: CustodianAnswer) -> None:
    heading, meaning = STATES[answer.state]
    style = "bold" if answer.state.is_answer else "bold yellow"
    line = Text.assemble((f"{heading}: ", style), (printable(answer.custodian_name), "bold"), f" {meaning}")
    console.print()
    _put(console, line)
    for label, text in describe_answer(answer):
        _put(console, Text(text), label=f"  {label}")


def _show_end(console: Console, event: Done) -> None:
    console.print()
    _put(console, Text(f"{event.coverage.value}: {printable(event.summary)}", style="bold"))
    _put(console, Text(NOT_KNOWN_SENTENCE))


def _put(console: Console, text: Text, *, label: str = "") -> None:
    """Print a text in as many lines as it needs, behind a label if there is one; no blanks at the ends."""
    indent = _INDENT if label else 0
    for number, line in enumerate(text.wrap(console, max(console.width - indent, 20))):
        line.rstrip()
        console.print(Text(f"{'' if number else label:<{indent}}") + line, soft_wrap=True)


def make_console() -> Console:
    """Give a console on standard output that interprets nothing in what it is given."""
    return Console(markup=False, highlight=False, emoji=False)
