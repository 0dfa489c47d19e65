"""A question from keyword arguments, checked: `ask(given="Ann", family="Lee", purpose=..., urgency=...)`.

Refuses:  keywords it does not know; a misspelt one would silently ask about less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, cast

from elsewhere.asking import Ask
from elsewhere.person.identity import Person, Written


class Question(Written, total=False):
    """All that can be said in a question: the child's fields (see `Written`), then these."""

    purpose: Required[str]  # such as S47_ENQUIRY
    urgency: Required[str]  # RED, AMBER or GREEN
    case: str  # the agency's own reference; leaves it only as an HMAC
    basis: str  # left out: the default for purpose and sector
    role: str  # left out: practitioner
    asker: str  # account name of the person who asks; leaves the agency only as a pseudonym
    reason: str  # in words, for the agency's own log; with basis A6D_VITAL it is required
    only: Sequence[str]  # agency ids; left out: every active member


_OF_THE_QUESTION = ("purpose", "urgency", "case", "basis", "role", "asker", "reason", "only")


def make_ask(person: Person | None, parts: Question) -> Ask:
    """Put a question together from a person or the fields of one, and the reasons for asking.

    Raises:
        TypeError: an unknown keyword, no purpose or urgency, or a person beside the fields of one.
        AskInvalid, PersonMalformed: a value out of bounds; the message names its field.
    """
    unknown = parts.keys() - Question.__annotations__.keys() - Written.__annotations__.keys()
    missing = {"purpose", "urgency"} - parts.keys()
    if unknown or missing:
        wrong = [f"unexpected {name}" for name in sorted(unknown)]
        raise TypeError(", ".join(wrong + [f"missing {name}" for name in sorted(missing)]))
    fields = {name: value for name, value in parts.items() if name not in _OF_THE_QUESTION}
    if person is not None and fields:
        raise TypeError("expected a person, or the fields of one, not both")
    return Ask(
        person=Person.of(**cast(Written, fields)) if person is None else person,
        purpose=parts["purpose"],
        urgency=parts["urgency"],
        case_reference=parts.get("case", ""),
        basis=parts.get("basis", ""),
        role=parts.get("role", "practitioner"),
        asker=parts.get("asker", ""),
        custodians=tuple(parts.get("only", ())),
        reason=parts.get("reason", ""),
    )
