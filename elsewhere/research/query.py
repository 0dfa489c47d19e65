"""A query: a question with every term that its answer's privacy depends on, signed by the researcher.

Sees:     questions, terms, ids of projects and people; no data.
Refuses:  a query that no person of the project has signed; any term that is not what dictionary, agreement
          and roster make it, so that nobody can lie about sensitivity, noise, holders or who may collude.
Source:   docs/protocol.md, "Studies"; docs/privacy-proof.md.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from elsewhere.agreement.studies import HeldTable, Project, Research, Researcher
from elsewhere.agreement.terms import Agreement
from elsewhere.canonical import Json, parse_canonical
from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_instant, as_text, format_instant
from elsewhere.research.dictionary import dictionary
from elsewhere.research.errors import (
    AgreementRefused,
    ProjectRefused,
    QueryExpired,
    ResearcherRefused,
    RosterChanged,
    TableRefused,
    TermsRefused,
)
from elsewhere.research.question import MAX_CELLS, Question
from elsewhere.roster import AGENCY_ID, Roster
from elsewhere.securesum.terms import Terms, enough_operators
from elsewhere.signing import SigningKey, open_envelope, sign_document, unverified_payload

QUERY_TYPE: Final = "application/vnd.elsewhere.study-query.v1+json"
VERSION: Final = 1  # of the protocol of studies
MAX_QUERY_BYTES: Final = 64 * 1024
NONCE_BYTES: Final = 16
MAX_LIFE: Final = timedelta(hours=1)
MICRO: Final = 1_000_000
MAX_SIGMA_MICRO: Final = 2**50
MAX_SENSITIVITY_SQUARED: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Query:
    """What is signed."""

    question: Question
    dictionary: str  # version
    roster: bytes  # 32 bytes, digest
    agreement: bytes  # 32 bytes, digest
    project: str
    researcher: str
    participants: tuple[str, ...]  # who may take part, by id
    width: int  # d: numbers in the answer
    clamp: int
    sensitivity_squared: int  # Delta2 squared
    sigma_micro: int  # noise of the answer, in millionths of a count
    holders: int  # k
    most_agencies: int  # K
    colluding: int  # c
    floor_nrho: int
    min_roster: int
    nonce: bytes  # 16 bytes: the same question again is another query
    expires_utc: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "expires_utc", as_instant(self.expires_utc, "expires_utc"))
        for name in ("project", "researcher"):
            as_text(getattr(self, name), name, AGENCY_ID)
        if len(self.nonce) != NONCE_BYTES:
            raise DocumentInvalid("nonce", f"expected {NONCE_BYTES} bytes")
        if not 1 <= self.sigma_micro <= MAX_SIGMA_MICRO:
            raise DocumentInvalid("sigma_micro", f"expected 1 to {MAX_SIGMA_MICRO}")

    @property
    def sigma(self) -> float:
        """The noise of the answer, in counts."""
        return self.sigma_micro / MICRO

    def to_json(self) -> dict[str, Json]:
        """Write the payload."""
        return {
            "version": VERSION,
            "question": self.question.to_json(),
            "dictionary": self.dictionary,
            "roster": self.roster.hex(),
            "agreement": self.agreement.hex(),
            "project": self.project,
            "researcher": self.researcher,
            "participants": list(self.participants),
            "width": self.width,
            "clamp": self.clamp,
            "sensitivity_squared": self.sensitivity_squared,
            "sigma_micro": self.sigma_micro,
            "holders": self.holders,
            "most_agencies": self.most_agencies,
            "colluding": self.colluding,
            "floor_nrho": self.floor_nrho,
            "min_roster": self.min_roster,
            "nonce": self.nonce.hex(),
            "expires_utc": format_instant(self.expires_utc),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Query:
        """Read the payload; whether its terms are right is for `check_terms`."""
        fields.integer("version", VERSION, VERSION)
        found = cls(
            question=Question.from_fields(fields.table("question")),
            dictionary=fields.text("dictionary"),
            roster=fields.octets("roster", 32),
            agreement=fields.octets("agreement", 32),
            project=fields.text("project", AGENCY_ID),
            researcher=fields.text("researcher", AGENCY_ID),
            participants=fields.texts("participants", AGENCY_ID),
            width=fields.integer("width", 1, MAX_CELLS),
            clamp=fields.integer("clamp", 1, 1000),
            sensitivity_squared=fields.integer("sensitivity_squared", 1, MAX_SENSITIVITY_SQUARED),
            sigma_micro=fields.integer("sigma_micro", 1, MAX_SIGMA_MICRO),
            holders=fields.integer("holders", 1, 100),
            most_agencies=fields.integer("most_agencies", 1, 100),
            colluding=fields.integer("colluding", 1, 98),
            floor_nrho=fields.integer("floor_nrho", 1, 2**53 - 1),
            min_roster=fields.integer("min_roster", 2, 100),
            nonce=fields.octets("nonce", NONCE_BYTES),
            expires_utc=fields.instant("expires_utc"),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, for which project, how exactly, and until when."""

    project: str
    researcher: str
    sigma_micro: int
    nonce: bytes
    expires_utc: datetime


def make_query(question: Question, asking: Asking, agreement: Agreement, roster: Roster) -> Query:
    """Fill in every term. Whoever checks a query makes it again this way.

    Raises:
        AgreementRefused, ProjectRefused, TableRefused: it may not be asked.
    """
    research, project = _project(agreement, asking.project)
    held = _held(research, project, question)
    parties = project.participants or tuple(party.agency_id for party in agreement.parties)
    return Query(
        question=question,
        dictionary=dictionary().version,
        roster=roster.digest,
        agreement=agreement.digest,
        project=asking.project,
        researcher=asking.researcher,
        participants=tuple(sorted(set(parties) & {one.agency_id for one in roster.active_members()})),
        width=question.width,
        clamp=question.clamp,
        sensitivity_squared=question.sensitivity_squared,
        sigma_micro=asking.sigma_micro,
        holders=held.k,
        most_agencies=research.most_agencies,
        colluding=research.collude(roster),
        floor_nrho=project.floor_nrho,
        min_roster=project.min_roster,
        nonce=asking.nonce,
        expires_utc=asking.expires_utc,
    )


def sign_query(key: SigningKey, query: Query) -> bytes:
    """Sign with the key that the agreement lists for the researcher."""
    return sign_document([key], QUERY_TYPE, query.to_json())


def query_id(envelope: bytes) -> bytes:
    """SHA-256 of the payload: 32 bytes. Raises SignatureInvalid for what is no query's envelope."""
    return hashlib.sha256(unverified_payload(envelope, QUERY_TYPE)).digest()


def open_query(envelope: bytes, agreement: Agreement) -> tuple[Query, bytes]:
    """Read a query that a person of its project has signed.

    Returns: the query, and its id.

    Raises:
        ProjectRefused, AgreementRefused: no such project.
        ResearcherRefused: not signed by a person of it.
        SignatureInvalid, NotCanonical, DocumentInvalid, QuestionInvalid: not a query.
    """
    query = Query.from_fields(Fields(parse_canonical(unverified_payload(envelope, QUERY_TYPE))))
    key = person_of(agreement, query.project, query.researcher).key
    payload = open_envelope(envelope, QUERY_TYPE, [key], limit=2 * MAX_QUERY_BYTES)
    return query, hashlib.sha256(payload).digest()


def check_terms(query: Query, agreement: Agreement, roster: Roster, *, now: datetime) -> None:
    """Return only if every term is what this side makes it, too, and the query may be asked now.

    Raises:
        AgreementRefused: another agreement, or one that is not in force now.
        RosterChanged: another roster.
        ProjectRefused, TableRefused: not open for this.
        QueryExpired: run out, or good for too long.
        TermsRefused: `.term` differs.
        TooFewTakePart, TooFewHold: not even if all whom it names take part.
    """
    validity = agreement.validity
    if query.agreement != agreement.digest or not validity.valid_from <= now < validity.valid_until:
        raise AgreementRefused("expected a query under the agreement in force")
    if query.roster != roster.digest:
        raise RosterChanged("expected a query under the roster in force")
    _, project = _project(agreement, query.project)
    if project.state != "open" or not project.valid_from <= now < project.valid_until:
        raise ProjectRefused("expected a project that is open")
    if not now < query.expires_utc <= now + MAX_LIFE + CLOCK_TOLERANCE:
        raise QueryExpired("expected a query that has not run out, and is good for an hour at most")
    asking = Asking(query.project, query.researcher, query.sigma_micro, query.nonce, query.expires_utc)
    expected = make_query(query.question, asking, agreement, roster).to_json()
    for term, value in query.to_json().items():
        if value != expected[term]:
            raise TermsRefused(term)
    enough_operators(terms_of(query, b"", agreement, roster), query.participants, roster)


def terms_of(query: Query, qid: bytes, agreement: Agreement, roster: Roster) -> Terms:
    """What the query and the agreement say of who takes part.

    How many must hold the table is the agreement's, which the query names by its digest.

    Raises:
        AgreementRefused, ProjectRefused, TableRefused: it may not be asked.
    """
    research, project = _project(agreement, query.project)
    held = _held(research, project, query.question)
    return Terms(
        qid=qid,
        participants=query.participants,
        min_roster=query.min_roster,
        colluding=query.colluding,
        holders=held.holders,
        min_holders=research.holders_needed(held, roster),
    )


def person_of(agreement: Agreement, project: str, researcher: str) -> Researcher:
    """Find a person of a project; raises AgreementRefused, ProjectRefused, ResearcherRefused."""
    research, found = _project(agreement, project)
    person = research.researcher(researcher)
    if person is None or researcher not in found.people:
        raise ResearcherRefused("expected a person whom the project lists")
    return person


def _project(agreement: Agreement, id: str) -> tuple[Research, Project]:
    """Find a project of the agreement."""
    if agreement.research is None:
        raise AgreementRefused("expected an agreement with research in it; this one has none")
    project = agreement.research.project(id)
    if project is None:
        raise ProjectRefused("expected a project of the agreement; there is none of this id")
    return agreement.research, project


def _held(research: Research, project: Project, question: Question) -> HeldTable:
    """Who holds the table that a question asks."""
    held = research.table(question.table)
    if held is None or question.table not in project.tables:
        raise TableRefused("expected a table that the project may ask; the agreement lists them")
    return held
