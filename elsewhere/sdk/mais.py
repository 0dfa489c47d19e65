"""An answer as MAIS objects (Multi-Agency Information Sharing): the decision, and the organisation to call.

Promises: only fields of the standard, and only what the answer says. There is no code for most services and
          none for how sure a match is: those fields are left out, and the answer itself stays what counts.
Source:   MAIS PUB02 Safeguarding, draft of 2026-07-17: Organisation, Service, Contact; Request decisions.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from elsewhere.asking import CustodianAnswer, State

AGENCY_SYSTEM: Final = "urn:elsewhere:agency"
DECISIONS: Final = MappingProxyType({State.DENIED: "DENY", State.REVIEW: "REVIEW"})


def answer_to_mais(answer: CustodianAnswer) -> dict[str, object]:
    """Return one custodian's answer as JSON values.

    Returns:
        `decision` (PERMIT, DENY or REVIEW; left out where there was none, as when nobody was reached),
        `state` (our own word) and `organisation`, a MAIS Organisation with whom and which service to call.
    """
    found: dict[str, object] = {"state": answer.state.value, "organisation": _organisation(answer)}
    if answer.state.is_answer:
        found["decision"] = "PERMIT"
    elif answer.state in DECISIONS:
        found["decision"] = DECISIONS[answer.state]
    return found


def _organisation(answer: CustodianAnswer) -> dict[str, object]:
    """Who answered, and whom to call there."""
    contact = answer.contact
    telephones = list(dict.fromkeys(n for n in (contact.in_hours, contact.out_of_hours) if n))
    entry: dict[str, object] = {
        "identifier": [{"value": answer.custodian, "system": AGENCY_SYSTEM}],
        "name": answer.custodian_name,
    }
    duty = [answer.duty_contact] if answer.duty_contact else telephones
    if duty:
        entry["contact"] = [{"name": "duty desk", "telephone": duty}]
    if contact.service:
        reach = [{"telephone": telephones}] if telephones else []
        entry["relatedService"] = [{"name": contact.service, "contact": reach}]
    return entry
