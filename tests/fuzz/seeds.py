"""One valid example, or a few, of everything that another party sends: what mutations begin with.

Promises: the same bytes every time, but where a certificate request is in it. Nobody in it is real.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from elsewhere.agreement.document import agreement_from_toml
from elsewhere.agreement.mais import sharing_policy as policy_of
from elsewhere.agreement.template import starting_agreement
from elsewhere.agreement.terms import Party, Validity
from elsewhere.anchor import Federation
from elsewhere.canonical import canonical_json
from elsewhere.catalogue import sealed
from elsewhere.catalogue.statement import CatalogueStatement, snapshot_root
from elsewhere.enrolment import Admission, JoinRequest, sign_request
from elsewhere.invitation import ResearcherToken, Token
from elsewhere.lookup import (
    REPLY_KEY_BYTES,
    SLOTS,
    Answer,
    AnswerState,
    Contact,
    Decision,
    Documents,
    EvaluateReply,
    EvaluateRequest,
    Flag,
    Head,
    RedeemReply,
    RedeemRequest,
    Reveal,
    Ruling,
    Terms,
)
from elsewhere.oprf import voprf
from elsewhere.proposal import Proposal, sign_proposal
from elsewhere.receipt import Receipt, answer_digest, sign_receipt
from elsewhere.roster import Member
from elsewhere.sdk.researcher.kept import Kept
from elsewhere.sealing import Context, SealingKey
from elsewhere.signing import SigningKey, sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE, KeyStatement, OprfKeyEntry, SealingKeyEntry
from elsewhere.wire.convert import lookup as convert
from elsewhere.wire.tls import make_authority, make_key, make_request, sign_node
from tests.partnership import KEYS, anchor_of, first_roster, signed, sole

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
POLICE, TRUST = (SigningKey.from_seed(bytes([n]) * 32) for n in (2, 3))
SEALING = SealingKey.generate(Random(7).randbytes)
SNAPSHOT_KEY = b"k" * 32
TAGS = np.arange(1, 400, dtype=np.uint64) * np.uint64(2**40 + 1)
OPRF = voprf.generate_key(Random(8).randbytes)
PLACE = Context(1, "police", "trust", "request", b"i" * 16, 1)

ROSTER = first_roster(
    Member("police", "Police", "POLICE", "Police", "active", POLICE.public),
    Member("trust", "NHS Trust", "NHS_TRUST", "NHS Trust", "active", TRUST.public),
    issued=NOW,
    until=NOW + 90 * DAY,
)
STATEMENT = KeyStatement(
    agency="police",
    version=3,
    issued_utc=NOW,
    sealing_keys=(SealingKeyEntry(SEALING.public, NOW + 7 * DAY),),
    oprf_keys=(
        OprfKeyEntry("involvement", 4, b"\x04" * 32, NOW - 20 * DAY, NOW + 10 * DAY),
        OprfKeyEntry("involvement", 5, b"\x05" * 32, NOW + 5 * DAY, NOW + 35 * DAY),
    ),
    protocol_versions=(1,),
    match_key_versions=("1",),
)
CATALOGUE = CatalogueStatement(
    custodian="police",
    collection="involvement",
    epoch=4,
    version=7,
    snapshot_version=7,
    snapshot_count=len(TAGS),
    delta_size=64,
    root=snapshot_root(TAGS),
    padding_commitment=b"c" * 32,
    published_utc=NOW,
)
ANSWER = Answer(
    AnswerState.KNOWN_CURRENT,
    strength="STRONG",
    tier="R3",
    contact=Contact("Family Hub", "0000 000 001", "0000 000 002"),
    last_contact_band="<30d",
    flags=(Flag("CP_PLAN", "2026-01-05"),),
)


@functools.cache
def roster() -> bytes:
    """The roster, signed."""
    return signed(ROSTER)


def elements() -> tuple[bytes, ...]:
    """As many blinded elements as a question has."""
    inputs = [n.to_bytes(4) for n in range(SLOTS)]
    return tuple(
        voprf.blind(inputs, [voprf.scalar_from_uniform(Random(n).randbytes(64)) for n in range(SLOTS)])
    )


@functools.cache
def evaluation() -> voprf.Evaluation:
    """What a custodian makes of these elements."""
    return voprf.blind_evaluate(OPRF, list(elements()), random=Random(9).randbytes)


@functools.cache
def request() -> EvaluateRequest:
    """A question of round one."""
    return EvaluateRequest(
        lookup_id=b"i" * 16,
        searcher="police",
        custodian="trust",
        collection="involvement",
        epoch=1,
        match_key_version="1",
        held=Head(0),
        terms=Terms("S47_ENQUIRY", "A6E", "RED", "practitioner", b"p" * 32, b"c" * 32),
        commitment=b"m" * 32,
        documents=Documents(b"a" * 32, 1, b"s" * 32),
        issued_ms=1,
        nonce=b"n" * 16,
        reply_key=bytes(REPLY_KEY_BYTES),
        elements=elements(),
    )


def receipt() -> Receipt:
    """The receipt of an answer."""
    return Receipt(
        custodian="trust",
        searcher="police",
        commitment="00" * 32,
        request_digest=hashlib.sha256(b"the signed request").hexdigest(),
        decision="PERMIT",
        clause="rule 4: s47 enquiries",
        tier="R3",
        released=answer_digest(ANSWER),
        elements="0" * 64,
        leaf="0" * 64,
        call_reference="A1B2C3D4",
        time_utc=NOW,
    )


def lookup_messages() -> dict[str, tuple[bytes, ...]]:
    """Both rounds, both ways, as they stand inside a seal."""
    permit, deny = (
        Ruling(Decision.PERMIT, clause="rule 4"),
        Ruling(Decision.DENY, "agreement.denied", "c", "r"),
    )
    made = evaluation()
    replies = (
        EvaluateReply(b"d" * 32, ruling, tuple(made.elements), made.proof, Head(3, b"r" * 32), others)
        for ruling, others in ((permit, ()), (deny, (("protected", 1, Head(2, b"q" * 32)),)))
    )
    reveals = tuple(Reveal(slot, b"t" * 32, b"b" * 32) for slot in range(3))
    answers = (ANSWER, Answer(AnswerState.NOTHING_RETURNED))
    return {
        "request": (convert.evaluate_request_to_wire(request()),),
        "reply": tuple(convert.evaluate_reply_to_wire(reply) for reply in replies),
        "redeem": (
            convert.redeem_request_to_wire(RedeemRequest(b"d" * 32, b"n" * 16, reveals, True)),
            convert.redeem_request_to_wire(RedeemRequest(b"d" * 32, b"n" * 16, (), False)),
        ),
        "answer": tuple(
            convert.redeem_reply_to_wire(
                RedeemReply(b"r" * 32, answer, sign_receipt(TRUST, receipt()), "A1B2C3D4")
            )
            for answer in answers
        ),
        "signed": (convert.signed_to_wire(b"payload", b"s" * 64),),
    }


def agreement_text() -> str:
    """A short agreement, as people write it, with one rule of each kind."""
    parties = [
        Party("police", "Northshire Police", "POLICE", "01632 960003", "01632 960004"),
        Party("trust", "Northshire NHS Trust", "NHS_TRUST", "01632 960005", "01632 960006"),
    ]
    validity = Validity(NOW, NOW + 365 * DAY, NOW + 300 * DAY)
    text = starting_agreement(id="northshire", title="Northshire", validity=validity, parties=parties)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    head, *rules = "\n".join(lines).split("[[rules]]")
    kinds = {tuple(word in rule for word in ("shielded", "REVIEW", "dest_sector")): rule for rule in rules}
    return "[[rules]]".join([head, *kinds.values()])


def agreement() -> bytes:
    """The payload of a whole agreement."""
    return canonical_json(agreement_from_toml(agreement_text()).to_json())


def sharing_policy() -> bytes:
    """An agreement as others write one."""
    made = policy_of(agreement_from_toml(agreement_text()), uri="https://example.org/a", contact="Police")
    return canonical_json(made.to_json())


@functools.cache
def join_files() -> dict[str, bytes]:
    """What passes between an agency and its partnership before there is a link."""
    authority, key = make_authority("northshire", now=NOW), make_key()
    csr = make_request(key, "police")
    wish = JoinRequest(
        agency_id="police",
        name="Northshire Police",
        sector="POLICE",
        contact_in_hours="0000 000 001",
        contact_out_of_hours="0000 000 002",
        signing_key=POLICE.public,
        csr_pem=csr,
    )
    admission = Admission(
        anchor=anchor_of(ROSTER, authority.cert_pem),
        agency_id="police",
        gateways=("127.0.0.1:7443",),
        certificate_pem=sign_node(authority, csr, agency="police", now=NOW),
        chain=(signed(ROSTER),),
        roster=signed(ROSTER),
        agreement=None,
    )
    return {
        "request": sign_request(POLICE, wish),
        "csr": csr,
        "admission": admission.to_bytes(),
        "certificate": admission.certificate_pem,
        "authority": authority.cert_pem,
    }


def proposal() -> tuple[bytes, bytes]:
    """A proposal of the next roster and a first agreement, and one steward's signature of it."""
    found = Proposal(
        anchor=anchor_of(ROSTER),
        before=sole(ROSTER),
        agreed=None,
        roster=replace(ROSTER, version=2, previous_digest=ROSTER.digest),
        agreement=agreement_from_toml(agreement_text()),
    )
    return found.to_bytes(), sign_proposal(KEYS[0], found).to_bytes()


def token_body() -> bytes:
    """What stands behind the digest in a token."""
    return _body_of(Token(agency_id="police", name="Police", sector="POLICE", **_way()))


def researcher_token_body() -> bytes:
    """What stands behind the digest in a researcher's token."""
    return _body_of(ResearcherToken(researcher="ana", name="Ana", organisation="University", **_way()))


def _way() -> dict[str, Any]:
    """What every token says."""
    files, key = join_files(), make_key()
    return {
        "federation": "northshire",
        "gateways": ("127.0.0.1:7443",),
        "anchor": bytes(32),
        "expires_utc": NOW,
        "ca_pem": files["authority"],
        "cert_pem": files["certificate"],
        "key_pem": key,
    }


def _body_of(token: Token | ResearcherToken) -> bytes:
    coded = token.to_text().removeprefix(token.prefix)
    return base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4))[4:]


def kept_study() -> bytes:
    """A study as a researcher keeps it; what is signed in it is for other parsers."""
    envelope = sign_document([POLICE], CATALOGUE_STATEMENT_TYPE, CATALOGUE.to_json())
    shares = {"police": envelope, "social": envelope}
    return Kept(envelope, (envelope,), shares, (envelope,), envelope, envelope).to_bytes()


def catalogue_statement() -> bytes:
    """The signed head of a snapshot."""
    return sign_document([POLICE], CATALOGUE_STATEMENT_TYPE, CATALOGUE.to_json())


def snapshot_chunks() -> list[bytes]:
    """The ciphertext of the snapshot that `CATALOGUE` speaks of."""
    return list(sealed.seal_snapshot(TAGS, SNAPSHOT_KEY, CATALOGUE.which))


def hostile_delta(tags: bytes) -> bytes:
    """A delta of any bytes, encrypted as its custodian would."""
    key, nonce = sealed._delta_key(SNAPSHOT_KEY, CATALOGUE.version), bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, tags, CATALOGUE.which.bind(b"delta", 0, 1))


def hostile_chunk(tags: bytes) -> bytes:
    """A snapshot's only chunk, of any bytes, encrypted as its custodian would."""
    return AESGCM(SNAPSHOT_KEY).encrypt(bytes(12), tags, CATALOGUE.which.bind(b"snapshot", 0, 1))


@functools.cache
def anchor() -> Federation:
    """What a node of the federation trusts."""
    return anchor_of(ROSTER, make_authority("northshire", now=NOW).cert_pem)
