"""Which collection a lookup asks in, and the decision about it: the one way from a question to an outcome.

Sees:     the question's envelope, the agreement, the answering node's own policy and the time.
Promises: the asking node, the answering node and the simulator all decide here, so that they cannot differ.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from elsewhere.agreement.decide import decide
from elsewhere.agreement.local import LocalPolicy
from elsewhere.agreement.outcome import Deny, Outcome, Permit, QuestionFacts
from elsewhere.agreement.terms import Agreement

INVOLVEMENT: Final = "involvement"  # everybody but location-shielded children
SHIELDED: Final = "shielded"  # those children; the word of the agreement
PROTECTED: Final = "protected"  # both together; the word of a question


def collection_to_ask(question: QuestionFacts, agreement: Agreement | None, now: datetime) -> str:
    """Give the one collection to ask a custodian in.

    Where the agreement lets this question reach location-shielded children, that is the one which holds
    everybody, else the one without them.
    """
    shielded = decide(replace(question, collection=SHIELDED), agreement, LocalPolicy(), now)
    return PROTECTED if isinstance(shielded, Permit) else INVOLVEMENT


def decide_asked(
    question: QuestionFacts, agreement: Agreement | None, local: LocalPolicy, now: datetime
) -> Outcome:
    """Decide for the collection asked; "protected" needs leave for shielded children as well.

    Pure and total, as `decide` is, with its arguments.
    """
    is_protected = question.collection == PROTECTED
    # Both are always decided: whoever measures must not see which collection is asked.
    general = replace(question, collection=INVOLVEMENT) if is_protected else question
    outcome = decide(general, agreement, local, now)
    shielded = decide(replace(question, collection=SHIELDED), agreement, local, now)
    if not is_protected or isinstance(outcome, Deny) or isinstance(shielded, Permit):
        return outcome
    return shielded
