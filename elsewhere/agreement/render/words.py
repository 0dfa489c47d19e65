"""How the words of an agreement are said to people: tiers, obligations, sides of a rule, times.

Promises: every obligation and tier of the vocabulary has words here; a test holds it to that.
"""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Final

from elsewhere.agreement.terms import Agreement, Party, Scope
from elsewhere.agreement.vocabulary import Basis, Purpose, Tier, delete_after_days, vocabulary

TIERS: Final = MappingProxyType(
    {
        Tier.R0: "totals about many children, and nothing about one child",
        Tier.R1: "that it knows the child, and nothing else",
        Tier.R2: "that it knows the child, whether it works with the child now or did so in the past, roughly"
        " when it last did, and whom to call",
        Tier.R3: "that it knows the child, whether it works with the child now or did so in the past, roughly"
        " when it last did, whom to call, and whether there is a plan or order to keep the child safe",
        Tier.R4: "what is in its files; no agreement gives that, professionals talk to each other",
    }
)
OBLIGATIONS: Final = MappingProxyType(
    {
        "LOG": "both agencies write the question and the decision into a log that cannot be changed unseen",
        "NOTIFY_DESK": "the duty desk of the agency that answers is told by a message",
        "SILENT": "nobody is told by a message; only the logs show it",
        "NO_ONWARD": "the answer is not passed on, and says so wherever it is shown or printed",
        "HUMAN_REVIEW": "a person at the agency that answers decides before anything is given",
        "RECORD_DETRIMENT": "whoever withholds the answer records why",
        "SECOND_PERSON": "a second person looks at the question within 24 hours",
    }
)


def obligation_in_words(word: str) -> str:
    """Say what an obligation asks for."""
    days = delete_after_days(word)
    if days is not None:
        return (
            f"the agency that asks deletes its copy of the answer after {days} day{'s' if days > 1 else ''}"
        )
    return OBLIGATIONS[word]


def purpose_in_words(purpose: Purpose) -> str:
    """A purpose with its id and statute."""
    return f"{purpose.name} ({purpose.id}, {purpose.statute})"


def basis_in_words(basis: Basis) -> str:
    """A lawful basis or condition with its id and statute."""
    return f"{basis.name} ({basis.id}, {basis.statute})"


def side_in_words(scope: Scope, agreement: Agreement) -> str:
    """Who is on one side of a rule."""
    if scope.agency is not None:
        party = agreement.party(scope.agency)
        return f"{party.name if party else 'an agency'} ({scope.agency})"
    if scope.sector is not None:
        return f"every party of the sector {vocabulary().sectors[scope.sector].name} ({scope.sector})"
    return "every party"


def status_in_words(party: Party) -> str:
    """Whether a party is a public authority, and who says so."""
    status = "a public authority" if party.is_public_authority else "not a public authority"
    return f"{status}, {'as usual in its sector' if party.public_authority is None else 'as stated here'}"


def when(moment: datetime) -> str:
    """A time that cannot be mistaken for local time; nothing of it is left out."""
    seconds = f":{moment:%S}" if moment.second else ""
    return f"{moment.day} {moment:%B %Y, %H:%M}{seconds} UTC"
