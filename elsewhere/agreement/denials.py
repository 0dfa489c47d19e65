"""What a person is told when a question is denied: one stable code, and a remedy they can act on.

Sees:     words of the agreement and the vocabulary. An unknown word of a question is never repeated.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from elsewhere.agreement.outcome import MAX_CLAUSE_BYTES, MAX_REMEDY_BYTES, Deny, clip
from elsewhere.agreement.terms import Agreement

REMEDIES: Final = MappingProxyType(
    {
        "agreement.missing": (
            "No sharing agreement is held at this node. Call the other agency's duty desk, and ask "
            "your own administrator to fetch the signed agreement."
        ),
        "agreement.not_yet_valid": "The sharing agreement is not in force yet. Until {valid_from}: {desk}.",
        "agreement.expired": (
            "The sharing agreement ended at {valid_until}. {Desk}; ask the stewards to renew it."
        ),
        "agreement.not_party": (
            "Only parties to the agreement ask each other, and not themselves. Search your own system"
            " for your own records; ask the stewards if an agency is missing from the agreement."
        ),
        "agreement.sector": (
            "The roster and the agreement give an agency different sectors. The stewards must correct"
            " one of them; until then: {desk}."
        ),
        "agreement.unsigned": (
            "The steward of {who} has not signed the agreement in force, so it does not bind that agency"
            " and lets nothing out. Ask the stewards to sign it; until then: {desk}."
        ),
        "agreement.no_rule": "No rule of the agreement covers this question. {hint} Otherwise: {desk}.",
        "agreement.rule": "The agreement says no to this question. If a child is at risk: {desk}.",
        "agreement.tier": "The rule that covers this question gives no answer about one child. {Desk}.",
        "question.vocabulary": (
            "The question uses a {kind} that this version does not know. Choose one from the list, or"
            " bring both nodes to one version."
        ),
        "purpose.kind": (
            "This purpose is not for asking about one child. Choose the purpose of your work with the"
            " child, or use the tools for totals or oversight."
        ),
        "purpose.sector": (
            "An agency of your kind may not ask for this purpose. Purposes you have: {hint}. "
            "Otherwise: {desk}."
        ),
        "purpose.role": "Your role may not ask for this purpose. Ask a colleague who is {hint}, or: {desk}.",
        "collection.closed": "The parties did not open this collection. {Desk}.",
        "collection.purpose": (
            "This collection may be asked for {hint} only. If one of them is why you ask, ask again "
            "with it; otherwise: {desk}."
        ),
        "basis.consent": (
            "Safeguarding does not rest on consent: a family's no could not stop the question, so "
            "asking would mislead them. Your organisation has: {hint}. Tell the family what you share"
            " where that is safe."
        ),
        "basis.condition": (
            "This is a further condition, not a basis for asking. Your organisation has: {hint}."
        ),
        "basis.not_yours": "Your organisation may not rely on this basis. It has: {hint}.",
        "basis.not_yet": (
            "The duty to share is not in force before {duty_from}. Your organisation has: {hint}."
        ),
        "basis.purpose": "The duty to share does not apply to this purpose. Your organisation has: {hint}.",
        "basis.citation": (
            "This basis needs the order or enactment cited, which a question cannot carry yet. Your "
            "organisation has: {hint}; or send the order to the duty desk."
        ),
        "basis.urgency": (
            "This basis is for a child at risk today only. If so, ask again as {urgencies}; otherwise"
            " your organisation has: {hint}."
        ),
        "basis.condition_missing": (
            "An answer from this agency needs a condition ({hint}) that the rule does not name. Ask "
            "the stewards to add it; until then: {desk}."
        ),
        "local.purpose": "The answering agency's own policy holds back answers for this purpose. {Desk}.",
        "local.agency": "The answering agency's own policy holds back answers to yours. {Desk}.",
        "local.tier": "The answering agency's own policy gives no answers by machine. {Desk}.",
    }
)


def desk_of(agreement: Agreement | None, agency: str) -> str:
    """Say whom to call at an agency, at any hour."""
    party = agreement.party(agency) if agreement is not None else None
    if party is None:
        return "call the other agency's duty desk"
    in_hours, out_of_hours = party.duty_contact_in_hours, party.duty_contact_out_of_hours
    return clip(f"call {party.name}: {in_hours}; out of hours {out_of_hours}", 200)


def deny(code: str, clause: str, desk: str, **words: str) -> Deny:
    """Build a denial.

    Args:
        code: a key of REMEDIES.
        clause: which part of which document decided.
        desk: from `desk_of`.
        words: what the remedy's text asks for.
    """
    # Kept short before the desk, so that a number to call is never what gets cut off.
    short = {name: clip(word, 110) for name, word in words.items()}
    remedy = REMEDIES[code].format(desk=desk, Desk=desk[:1].upper() + desk[1:], **short)
    return Deny(code, clip(clause, MAX_CLAUSE_BYTES), clip(remedy, MAX_REMEDY_BYTES))
