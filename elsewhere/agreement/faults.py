"""What must hold of a question before any rule is looked at: dates, parties, purpose, collection, basis.

Refuses:  whatever it cannot place; every doubt is a denial that names its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias

from elsewhere.agreement.bases import may_rely, possible_bases
from elsewhere.agreement.denials import deny, desk_of
from elsewhere.agreement.outcome import Deny, QuestionFacts
from elsewhere.agreement.terms import Agreement, Party
from elsewhere.agreement.vocabulary import CONSENT, Basis, vocabulary
from elsewhere.fields import format_instant

FaultFinder: TypeAlias = Callable[[QuestionFacts, Agreement, datetime], Deny | None]


def find_date_fault(question: QuestionFacts, agreement: Agreement, now: datetime) -> Deny | None:
    """Deny outside [valid_from, valid_until)."""
    desk, clause = desk_of(agreement, question.custodian), clause_of(agreement, "validity")
    if now < agreement.validity.valid_from:
        starts = format_instant(agreement.validity.valid_from)
        return deny("agreement.not_yet_valid", clause, desk, valid_from=starts)
    if now >= agreement.validity.valid_until:
        ended = format_instant(agreement.validity.valid_until)
        return deny("agreement.expired", clause, desk, valid_until=ended)
    return None


def find_unknown_word(question: QuestionFacts, agreement: Agreement, now: datetime) -> Deny | None:
    """Deny a word that the vocabulary does not hold, without repeating it."""
    words = vocabulary()
    for kind, word, known in (
        ("purpose", question.purpose, words.purposes),
        ("lawful basis", question.basis, words.bases),
        ("urgency", question.urgency, words.urgencies),
        ("role", question.role, words.roles),
        ("record type", question.record_type, words.record_types),
        ("collection", question.collection, words.collections),
    ):
        if word not in known:
            desk = desk_of(agreement, question.custodian)
            return deny("question.vocabulary", f"vocabulary {words.version}, {kind}", desk, kind=kind)
    return None


def find_party_fault(question: QuestionFacts, agreement: Agreement, now: datetime) -> Deny | None:
    """Deny unless both are parties, two different ones, with the sector that the roster gives them."""
    desk, clause = desk_of(agreement, question.custodian), clause_of(agreement, "parties")
    searcher, custodian = agreement.party(question.searcher), agreement.party(question.custodian)
    if searcher is None or custodian is None or searcher is custodian:
        return deny("agreement.not_party", clause, desk)
    if (searcher.sector, custodian.sector) != (question.searcher_sector, question.custodian_sector):
        return deny("agreement.sector", clause, desk)
    return None


def find_unsigned(question: QuestionFacts, agreement: Agreement, now: datetime) -> Deny | None:
    """Deny unless the stewards of both have signed this version: it binds nobody else."""
    for agency in (question.custodian, question.searcher):
        if agency not in agreement.signed_by:
            desk, clause = desk_of(agreement, question.custodian), clause_of(agreement, "signatures")
            party = agreement.party(agency)
            return deny("agreement.unsigned", clause, desk, who=party.name if party else "an agency")
    return None


def find_purpose_fault(question: QuestionFacts, agreement: Agreement, now: datetime) -> Deny | None:
    """Deny unless this sector and role may ask this kind of question for this purpose."""
    words, desk = vocabulary(), desk_of(agreement, question.custodian)
    purpose = words.purposes[question.purpose]
    clause = f"vocabulary {words.version}, purpose {purpose.id} ({purpose.statute})"
    if purpose.about != question.about:
        return deny("purpose.kind", clause, desk)
    roles = purpose.askers.get(question.searcher_sector)
    if roles is None:
        mine = [
            other.id
            for other in words.purposes.values()
            if question.searcher_sector in other.askers and other.about == question.about
        ]
        return deny("purpose.sector", clause, desk, hint=", ".join(mine) or "none")
    if question.role not in roles:
        return deny("purpose.role", clause, desk, hint=" or ".join(role.replace("_", " ") for role in roles))
    return None


def find_collection_fault(question: QuestionFacts, agreement: Agreement, now: datetime) -> Deny | None:
    """Deny a collection that is not opened, or not for this purpose."""
    words, desk = vocabulary(), desk_of(agreement, question.custodian)
    collection = words.collections[question.collection]
    if agreement.collection(collection.id) is None:
        return deny("collection.closed", clause_of(agreement, "collections"), desk)
    if question.purpose not in collection.purposes:
        clause = f"vocabulary {words.version}, collection {collection.id}"
        return deny("collection.purpose", clause, desk, hint=", ".join(collection.purposes))
    return None


def find_basis_fault(question: QuestionFacts, agreement: Agreement, now: datetime) -> Deny | None:
    """Deny unless the asking party may rely on the basis, now, for this purpose and urgency."""
    words, desk = vocabulary(), desk_of(agreement, question.custodian)
    basis, searcher = words.bases[question.basis], agreement.party(question.searcher)
    code = "basis.not_yours" if searcher is None else _fault(question, agreement, now, searcher)
    if code is None:
        return None
    return deny(
        code,
        f"vocabulary {words.version}, basis {basis.id} ({basis.statute})",
        desk,
        hint=_bases_hint(question, agreement, now, searcher),
        duty_from=format_instant(_duty_from(agreement)),
        urgencies=" or ".join(basis.urgencies),
    )


FAULTS: Final[tuple[FaultFinder, ...]] = (
    find_date_fault,
    find_unknown_word,
    find_party_fault,
    find_unsigned,
    find_purpose_fault,
    find_collection_fault,
    find_basis_fault,
)


def clause_of(agreement: Agreement, part: str) -> str:
    """Name a part of the agreement."""
    return f"agreement {agreement.id} version {agreement.version}, {part}"


def _fault(question: QuestionFacts, agreement: Agreement, now: datetime, searcher: Party) -> str | None:
    """Name what is wrong with a basis as this party asserts it; None if nothing is."""
    words = vocabulary()
    basis, sector = words.bases[question.basis], words.sectors[searcher.sector]
    faults = (
        ("basis.consent", basis.id == CONSENT),
        ("basis.condition", not basis.carries_a_question),
        ("basis.not_yours", not may_rely(basis, sector, public_authority=searcher.is_public_authority)),
        ("basis.not_yet", _is_duty(basis) and now < _duty_from(agreement)),
        ("basis.purpose", _is_duty(basis) and not words.purposes[question.purpose].duty),
        ("basis.citation", "citation" in basis.needs and not question.has_citation),
        ("basis.urgency", bool(basis.urgencies) and question.urgency not in basis.urgencies),
    )
    return next((code for code, holds in faults if holds), None)


def _is_duty(basis: Basis) -> bool:
    """Tell whether a basis is the statutory duty to share, which has a first day."""
    return basis.who == "duty"


def _duty_from(agreement: Agreement) -> datetime:
    """Give the first moment of the duty to share, as the agreement or else the vocabulary states it."""
    return agreement.duty_from if agreement.duty_from is not None else vocabulary().duty_from


def _bases_hint(question: QuestionFacts, agreement: Agreement, now: datetime, searcher: Party | None) -> str:
    """Say which other bases the asking party has for its purpose, in words and ids."""
    if searcher is None:
        return "none"
    found = possible_bases(
        searcher.sector,
        question.purpose,
        now,
        public_authority=searcher.is_public_authority,
        duty_from=_duty_from(agreement),
    )
    others = [basis for basis in found if basis != question.basis]
    return ", ".join(f"{vocabulary().bases[basis].name} ({basis})" for basis in others) or "none"
