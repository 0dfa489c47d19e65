"""The four messages of a lookup as checked values: holding one proves that its shape is right.

Sees:     whatever its holder sees; between the agencies these values travel signed, padded and sealed.
Refuses:  wrong lengths, unknown enumerations, over-long words. Group elements are checked by `oprf`,
          words by `agreement`, digests by whoever knows what they must equal.
Source:   docs/protocol.md, "Messages".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from elsewhere.clock import MAX_MS
from elsewhere.errors import LookupMalformed
from elsewhere.statement import MAX_EPOCH

PROTOCOL_VERSION = 1
SLOTS = 40  # of every question, whatever is asked
MAX_REVEALS = 4
MAX_FLAGS = 8
MAX_OTHERS = 8
DIGEST_BYTES = 32
ID_BYTES = 16
ELEMENT_BYTES = 32
PROOF_BYTES = 64
REPLY_KEY_BYTES = 1216
WORD_CHARACTERS = 64
SENTENCE_CHARACTERS = 200
REMEDY_CHARACTERS = 400


def _expect_elements(elements: Sequence[bytes]) -> None:
    _expect(len(elements) == SLOTS, "number of elements")
    _expect(all(len(element) == ELEMENT_BYTES for element in elements), "element length")


def _expect_words(value: str, limit: int, name: str) -> None:
    _expect(1 <= len(value) <= limit, name)


def _expect(holds: bool, name: str) -> None:
    """One refusal for all fields: it names the field, never its value."""
    if not holds:
        raise LookupMalformed(f"a lookup message has a {name} outside what the protocol allows")


class Decision(Enum):
    """What a custodian decided before it touched data; the value travels on the wire."""

    PERMIT = 1
    DENY = 2
    REVIEW = 3
    RATE_LIMITED = 4
    INCOMPATIBLE = 5
    ERROR = 6


class AnswerState(Enum):
    """What one custodian says about the child; the value travels on the wire."""

    NOTHING_RETURNED = 1
    KNOWN_CURRENT = 2
    KNOWN_PAST = 3
    POSSIBLE = 4
    CALL_BACK = 5
    KNOWN = 6  # at tier R1, which says that a child is known but not whether still


@dataclass(frozen=True, slots=True)
class Head:
    """The state of a catalogue: its version, and the 32-byte chained digest of its tags. Version 0: none."""

    version: int
    root: bytes = b""

    def __post_init__(self) -> None:
        _expect(self.version >= 0, "catalogue version")
        _expect(len(self.root) == (DIGEST_BYTES if self.version else 0), "catalogue root")


@dataclass(frozen=True, slots=True)
class Terms:
    """Why somebody asks, in the agreement's vocabulary; who they are, as pseudonyms for one custodian."""

    purpose: str
    basis: str
    urgency: str
    role: str
    pseudonym: bytes = field(repr=False)
    case_reference: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("purpose", "basis", "urgency", "role"):
            _expect_words(getattr(self, name), WORD_CHARACTERS, name)
        _expect(len(self.pseudonym) == DIGEST_BYTES, "pseudonym")
        _expect(len(self.case_reference) == DIGEST_BYTES, "case reference")


@dataclass(frozen=True, slots=True)
class Documents:
    """Which signed documents the searcher holds: the custodian must be able to hold it to them."""

    agreement_digest: bytes
    roster_version: int
    statement_digest: bytes

    def __post_init__(self) -> None:
        _expect(len(self.agreement_digest) == DIGEST_BYTES, "agreement digest")
        _expect(len(self.statement_digest) == DIGEST_BYTES, "statement digest")
        _expect(self.roster_version >= 1, "roster version")


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """Round one, searcher to custodian."""

    lookup_id: bytes
    searcher: str
    custodian: str
    collection: str
    epoch: int
    match_key_version: str
    held: Head
    terms: Terms
    commitment: bytes
    documents: Documents
    issued_ms: int
    nonce: bytes
    reply_key: bytes = field(repr=False)
    elements: tuple[bytes, ...] = field(repr=False)
    protocol_version: int = PROTOCOL_VERSION

    def __post_init__(self) -> None:
        _expect(len(self.lookup_id) == ID_BYTES, "lookup id")
        for name in ("searcher", "custodian", "collection", "match_key_version"):
            _expect_words(getattr(self, name), WORD_CHARACTERS, name)
        _expect(1 <= self.epoch <= MAX_EPOCH, "epoch")
        _expect(len(self.commitment) == DIGEST_BYTES, "commitment")
        _expect(0 < self.issued_ms <= MAX_MS, "issued time")
        _expect(len(self.nonce) == ID_BYTES, "nonce")
        _expect(len(self.reply_key) == REPLY_KEY_BYTES, "reply key")
        _expect_elements(self.elements)


def elements_digest(elements: Sequence[bytes]) -> str:
    """Give the SHA-256 over all elements of a question in slot order, 64 hex digits."""
    return hashlib.sha256(b"".join(elements)).hexdigest()


RESERVE = "limits.reserve"  # code of a PERMIT that no day's limit had room for, but the reserve for RED


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision with the words a person needs: the clause that decided and what can be done."""

    decision: Decision
    code: str = ""
    clause: str = ""
    remedy: str = ""
    expected_by_ms: int = 0

    def __post_init__(self) -> None:
        _expect(len(self.code) <= WORD_CHARACTERS, "code")
        _expect(len(self.clause) <= SENTENCE_CHARACTERS, "clause")
        _expect(len(self.remedy) <= REMEDY_CHARACTERS, "remedy")
        _expect(0 <= self.expected_by_ms <= MAX_MS, "expected time")


@dataclass(frozen=True, slots=True)
class EvaluateReply:
    """Round one, custodian to searcher."""

    request_digest: bytes
    ruling: Ruling
    elements: tuple[bytes, ...] = field(repr=False)
    proof: bytes = field(repr=False)
    published: Head
    others: tuple[tuple[str, int, Head], ...] = ()  # collection, epoch and head of its other catalogues

    def __post_init__(self) -> None:
        _expect(len(self.request_digest) == DIGEST_BYTES, "request digest")
        _expect(len(self.others) <= MAX_OTHERS, "number of heads")
        _expect_elements(self.elements)
        _expect(len(self.proof) == PROOF_BYTES, "proof")


@dataclass(frozen=True, slots=True)
class Reveal:
    """One opened slot: the full tag found, and the blind that hid its match key in round one."""

    slot: int
    tag: bytes = field(repr=False)
    blind: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _expect(0 <= self.slot < SLOTS, "slot")
        _expect(len(self.tag) == DIGEST_BYTES, "tag")
        _expect(len(self.blind) == ELEMENT_BYTES, "blind")


@dataclass(frozen=True, slots=True)
class RedeemRequest:
    """Round two, searcher to custodian; sent always."""

    request_digest: bytes
    nonce: bytes
    reveals: tuple[Reveal, ...]
    names_asked: bool

    def __post_init__(self) -> None:
        _expect(len(self.request_digest) == DIGEST_BYTES, "request digest")
        _expect(len(self.nonce) == ID_BYTES, "nonce")
        _expect(len(self.reveals) <= MAX_REVEALS, "number of reveals")
        # Two reveals of one slot would be one key counted twice.
        _expect(len({reveal.slot for reveal in self.reveals}) == len(self.reveals), "slots of the reveals")


@dataclass(frozen=True, slots=True)
class Flag:
    """A coded flag with its dates, ISO 8601 or empty."""

    code: str
    start_date: str = ""
    end_date: str = ""

    def __post_init__(self) -> None:
        _expect_words(self.code, WORD_CHARACTERS, "flag")
        for date in (self.start_date, self.end_date):
            _expect(len(date) in (0, 10), "flag date")


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to call: service and duty contacts. Empty below tier R2; no service where it betrays a place."""

    service: str = ""
    in_hours: str = ""
    out_of_hours: str = ""

    def __post_init__(self) -> None:
        for words in (self.service, self.in_hours, self.out_of_hours):
            _expect(len(words.encode()) <= SENTENCE_CHARACTERS, "contact")


@dataclass(frozen=True, slots=True)
class Answer:
    """The minimum answer of one custodian; fields above the permitted tier are empty."""

    state: AnswerState
    strength: str = ""  # "", WEAK, STRONG, IDENTIFIER
    tier: str = ""  # "", R1, R2, R3
    contact: Contact = Contact()
    last_contact_band: str = ""  # "", <7d, <30d, <6m, <12m, >12m
    flags: tuple[Flag, ...] = ()
    source_age_days: int = 0
    source_stale: bool = False

    def __post_init__(self) -> None:
        _expect(self.strength in ("", "WEAK", "STRONG", "IDENTIFIER"), "strength")
        _expect(self.tier in ("", "R1", "R2", "R3"), "tier")
        _expect(self.last_contact_band in ("", "<7d", "<30d", "<6m", "<12m", ">12m"), "last contact band")
        _expect(len(self.flags) <= MAX_FLAGS, "number of flags")
        _expect(self.source_age_days >= 0, "source age")


@dataclass(frozen=True, slots=True)
class RedeemReply:
    """Round two, custodian to searcher."""

    redeem_digest: bytes
    answer: Answer
    receipt: bytes = field(repr=False)
    call_reference: str = ""

    def __post_init__(self) -> None:
        _expect(len(self.redeem_digest) == DIGEST_BYTES, "redeem digest")
        _expect(len(self.call_reference) == 8, "call reference")
