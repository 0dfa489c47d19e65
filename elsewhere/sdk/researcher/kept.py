"""A study as it is kept: every signed document, so that anybody with the anchor can add the shares again.

Refuses:  a query that its researcher did not sign, prepares and shares that active members did not sign, a
          missing or second share, terms that differ from what the agreement makes them.
Source:   docs/protocol.md, "Studies"; docs/research.md, "Adding again".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from elsewhere.agreement.terms import Agreement
from elsewhere.anchor import Federation
from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields
from elsewhere.research.query import Query, check_terms, open_query, terms_of
from elsewhere.sdk.researcher.trust import Documents, open_documents
from elsewhere.securesum.accounting import total_scale
from elsewhere.securesum.noise import share_scale
from elsewhere.securesum.opening import open_shares
from elsewhere.securesum.rounds import fix_roster
from elsewhere.signing import MAX_ENVELOPE_BYTES

VERSION: Final = 1
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """The signed documents of one study whose shares are all in."""

    query: bytes
    prepares: tuple[bytes, ...] = field(repr=False)
    shares: Mapping[str, bytes] = field(repr=False)  # by agency
    chain: tuple[bytes, ...] = field(repr=False)
    roster: bytes = field(repr=False)
    agreement: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Write the file."""
        entry: dict[str, Json] = {"version": VERSION}
        for name in ("query", "roster", "agreement"):
            entry[name] = getattr(self, name).decode("utf-8")
        for name in ("prepares", "chain"):
            entry[name] = [one.decode("utf-8") for one in getattr(self, name)]
        entry["shares"] = {agency: one.decode("utf-8") for agency, one in self.shares.items()}
        return canonical_json(entry) + b"\n"

    @classmethod
    def from_bytes(cls, file: bytes) -> Kept:
        """Read a file; what is in it is yet to be verified. Raises DocumentInvalid, NotCanonical."""
        if len(file) > MAX_FILE_BYTES:
            raise DocumentInvalid("file", f"expected at most {MAX_FILE_BYTES} bytes")
        fields = Fields(parse_canonical(file.removesuffix(b"\n")))
        fields.integer("version", VERSION, VERSION)
        found = cls(
            query=_envelope(fields.take("query")),
            prepares=_envelopes(fields.take("prepares")),
            shares=_by_agency(fields.take("shares")),
            chain=_envelopes(fields.take("chain")),
            roster=_envelope(fields.take("roster")),
            agreement=_envelope(fields.take("agreement")),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Sum:
    """What a study's shares add up to: everything was verified."""

    query: Query
    qid: bytes
    totals: tuple[int, ...]  # on the noise's lattice
    scale: float  # standard deviation of each, in counts
    agencies: tuple[str, ...]  # who took part
    left_nrho: int  # of the tightest cap anywhere, as stated before the charge
    agreement: Agreement


def add(kept: Kept, anchor: Federation) -> Sum:
    """Verify everything from the anchor on, and add.

    Raises:
        SharesApart: a share is missing, stands twice, or is of another query, roster or length.
        ElsewhereError: a signature or a term does not hold; the code says which.
    """
    documents = open_documents(anchor, kept.chain, kept.roster, kept.agreement)
    return add_under(kept, documents)


def add_under(kept: Kept, documents: Documents) -> Sum:
    """Add under documents that were verified before; raises as `add`."""
    agreement, roster = documents.agreement, documents.roster
    if agreement is None:
        raise DocumentInvalid("agreement", "expected the agreement that the query names")
    query, qid = open_query(kept.query, agreement)
    check_terms(query, agreement, roster, now=query.expires_utc - _SECOND)
    fixed = fix_roster(terms_of(query, qid, agreement, roster), kept.prepares, roster)
    totals = open_shares(fixed, kept.shares, roster, query.width)
    scale = share_scale(
        sigma=query.sigma,
        sensitivity_squared=query.sensitivity_squared,
        operators=fixed.operators,
        colluding=query.colluding,
        floor_nrho=query.floor_nrho,
    )
    return Sum(
        query=query,
        qid=qid,
        totals=tuple(totals),
        scale=total_scale([scale] * len(fixed.prepares)),
        agencies=tuple(prepare.agency for prepare in fixed.prepares),
        left_nrho=min(prepare.left_nrho for prepare in fixed.prepares),
        agreement=agreement,
    )


def _envelope(value: object) -> bytes:
    if not isinstance(value, str) or len(value) > MAX_ENVELOPE_BYTES:
        raise DocumentInvalid("file", "expected a signed document")
    return value.encode("utf-8")


def _envelopes(values: object) -> tuple[bytes, ...]:
    if not isinstance(values, list) or len(values) > 1000:
        raise DocumentInvalid("file", "expected a list of signed documents")
    return tuple(_envelope(value) for value in values)


def _by_agency(values: object) -> dict[str, bytes]:
    if not isinstance(values, dict) or len(values) > 1000:
        raise DocumentInvalid("file", "expected signed documents by agency")
    return {agency: _envelope(value) for agency, value in values.items()}
