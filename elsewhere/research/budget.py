"""What is left of a budget: a researcher's signed request, and each node's signed statement.

Refuses:  a request that no person of the project has signed, or that has run out.
Source:   docs/protocol.md, "Studies".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from elsewhere.agreement.terms import Agreement
from elsewhere.canonical import Json, parse_canonical
from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.fields import Fields, as_instant, format_instant
from elsewhere.research.errors import QueryExpired
from elsewhere.research.query import MAX_LIFE, MAX_QUERY_BYTES, NONCE_BYTES, person_of
from elsewhere.roster import AGENCY_ID
from elsewhere.signing import SigningKey, open_document, open_envelope, sign_document, unverified_payload

REQUEST_TYPE: Final = "application/vnd.elsewhere.study-budget-request.v1+json"
STATEMENT_TYPE: Final = "application/vnd.elsewhere.study-budget.v1+json"
MAX_NRHO: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class BudgetRequest:
    """Whose budget, for which project."""

    project: str
    researcher: str
    nonce: bytes  # 16 bytes
    expires_utc: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "expires_utc", as_instant(self.expires_utc, "expires_utc"))

    def check_time(self, now: datetime) -> None:
        """Return only if it has not run out and is good for an hour at most; raises QueryExpired."""
        if not now < self.expires_utc <= now + MAX_LIFE + CLOCK_TOLERANCE:
            raise QueryExpired("expected a request that has not run out")

    def to_json(self) -> dict[str, Json]:
        """Write the payload."""
        return {
            "project": self.project,
            "researcher": self.researcher,
            "nonce": self.nonce.hex(),
            "expires_utc": format_instant(self.expires_utc),
        }


def sign_budget_request(key: SigningKey, request: BudgetRequest) -> bytes:
    """Sign with the researcher's key."""
    return sign_document([key], REQUEST_TYPE, request.to_json())


def open_budget_request(envelope: bytes, agreement: Agreement) -> tuple[BudgetRequest, bytes]:
    """Read a request that a person of its project has signed; gives its id too. Raises as `open_query`."""
    fields = Fields(parse_canonical(unverified_payload(envelope, REQUEST_TYPE)))
    found = BudgetRequest(
        project=fields.text("project", AGENCY_ID),
        researcher=fields.text("researcher", AGENCY_ID),
        nonce=fields.octets("nonce", NONCE_BYTES),
        expires_utc=fields.instant("expires_utc"),
    )
    fields.done()
    key = person_of(agreement, found.project, found.researcher).key
    payload = open_envelope(envelope, REQUEST_TYPE, [key], limit=MAX_QUERY_BYTES)
    return found, hashlib.sha256(payload).digest()


@dataclass(frozen=True, slots=True)
class BudgetStatement:
    """What is left at one node, in nano-rho."""

    agency: str
    qid: bytes  # of the request, 32 bytes
    project: int
    researcher: int
    node: int

    @property
    def least(self) -> int:
        """What the next query may cost at most."""
        return min(self.project, self.researcher, self.node)

    def to_json(self) -> dict[str, Json]:
        """Write the payload."""
        return {
            "agency": self.agency,
            "qid": self.qid.hex(),
            "project_nrho": self.project,
            "researcher_nrho": self.researcher,
            "node_nrho": self.node,
        }


def sign_budget(key: SigningKey, statement: BudgetStatement) -> bytes:
    """Sign with the key that the roster lists for this agency."""
    return sign_document([key], STATEMENT_TYPE, statement.to_json())


def open_budget(envelope: bytes, signer: bytes) -> BudgetStatement:
    """Read a node's statement; raises SignatureInvalid, NotCanonical, DocumentInvalid."""
    fields = Fields(open_document(envelope, STATEMENT_TYPE, [signer], limit=MAX_QUERY_BYTES))
    found = BudgetStatement(
        agency=fields.text("agency", AGENCY_ID),
        qid=fields.octets("qid", 32),
        project=fields.integer("project_nrho", 0, MAX_NRHO),
        researcher=fields.integer("researcher_nrho", 0, MAX_NRHO),
        node=fields.integer("node_nrho", 0, MAX_NRHO),
    )
    fields.done()
    return found
