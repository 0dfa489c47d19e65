"""Every parser that reads what another party sent.

Promises: each either returns or raises one of its own errors, whatever the bytes. Anything else that comes
          out of it - an error of Python's, of a library's - is a finding: it would end a link or a thread,
          or quote what a person typed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path

from google.protobuf.message import DecodeError

from elsewhere.agreement.document import agreement_from_json, agreement_from_toml
from elsewhere.agreement.mais import SharingPolicy
from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.catalogue import sealed
from elsewhere.catalogue.statement import CatalogueStatement
from elsewhere.catalogue.tags import Catalogue, to_bytes
from elsewhere.enrolment import Admission, open_request
from elsewhere.errors import CertificateInvalid, DocumentInvalid, ElsewhereError
from elsewhere.invitation import PREFIX, RESEARCH_PREFIX, ResearcherToken, Token
from elsewhere.oprf import voprf
from elsewhere.oprf.group import check_batch
from elsewhere.proposal import Proposal, Signature
from elsewhere.receipt import RECEIPT_TYPE, Receipt, open_receipt
from elsewhere.roster import Roster
from elsewhere.sdk.researcher.kept import Kept
from elsewhere.sealing import CATALOGUE_KEY, open_sealed, seal, unpad
from elsewhere.signing import open_envelope, sign_document
from elsewhere.statement import KeyStatement, sign_statement
from elsewhere.stewards import open_card, write_card
from elsewhere.succession import chain_from_bytes, chain_to_bytes
from elsewhere.wire.convert import link
from elsewhere.wire.convert import lookup as convert
from elsewhere.wire.tls import check_hosts, check_issued, check_request, common_name
from elsewhere.wire.v1 import catalogue_pb2, common_pb2, directory_pb2, link_pb2, lookup_pb2
from gateway.catalogues import _grants, _name
from gateway.pieces import piece_path
from node.catalogues.grants import _context
from node.catalogues.holding import CatalogueName, Held, Intake, Reader, Superseded
from node.membership.trust import Trust
from tests.fuzz import seeds
from tests.fuzz.desk_parsers import desk_parsers
from tests.fuzz.log_parsers import log_parsers
from tests.fuzz.mutation import as_json, as_message, as_pem
from tests.fuzz.parser import Parser, document, message_of, wire
from tests.fuzz.study_parsers import study_parsers
from tests.partnership import STEWARDS, sole


def _token(data: bytes) -> None:
    """What a token says, behind the digest that tells one that was cut short."""
    coded = base64.urlsafe_b64encode(hashlib.sha256(data).digest()[:4] + data).decode().rstrip("=")
    Token.from_text(PREFIX + coded)


def _researcher_token(data: bytes) -> None:
    """As `_token`, of a researcher's."""
    coded = base64.urlsafe_b64encode(hashlib.sha256(data).digest()[:4] + data).decode().rstrip("=")
    ResearcherToken.from_text(RESEARCH_PREFIX + coded)


def _certificate(data: bytes) -> None:
    """What a gateway's operator hands an agency, and what a desk's certificate authority signed."""
    common_name(data)
    check_issued(data, seeds.join_files()["authority"], agency="police", now=seeds.NOW)
    with contextlib.suppress(CertificateInvalid):  # a node's names no host
        check_hosts(data, [])


def _canonical(data: bytes) -> None:
    """Whatever is accepted has one spelling."""
    assert canonical_json(parse_canonical(data)) == data


def _envelope(data: bytes) -> None:
    open_envelope(data, RECEIPT_TYPE, [seeds.TRUST.public, seeds.POLICE.public])


def _member_documents(data: bytes) -> None:
    """A Directory as a gateway sends it, taken in by a node."""
    found = directory_pb2.Directory()
    found.ParseFromString(data)
    trust = Trust("police", Path(), seeds.anchor(), sole(seeds.ROSTER))
    trust._envelopes["roster.json"] = seeds.roster()  # held, so that these very bytes are not verified again
    refused = trust.take_directory(found.roster, found.agreement, found.statements, found.stewards_rosters)
    if refused:
        raise DocumentInvalid("directory", ", ".join(refused))


def _intake(data: bytes) -> None:
    """A piece of a catalogue as a gateway sends it, to nodes with and without a version of it."""
    message = catalogue_pb2.FetchResponse()
    message.ParseFromString(data)
    reader = Reader(
        CatalogueName("police", "involvement", 4), seeds.POLICE.public, "trust", [seeds.SEALING], 10_000
    )
    held = Held(
        replace(seeds.CATALOGUE, version=6, snapshot_version=6), seeds.SNAPSHOT_KEY, Catalogue(seeds.TAGS)
    )
    for known in (None, held):
        intake = Intake(reader, known)
        intake.begin()
        intake.take(message)
        chunk = catalogue_pb2.Chunk(ciphertext=seeds.snapshot_chunks()[0])
        intake.take(catalogue_pb2.FetchResponse(chunk=chunk))


def _publication(message: catalogue_pb2.PublishRequest) -> None:
    """What a gateway reads of a piece before anything of it counts."""
    _grants(message.piece.grants)


def _fetch(message: catalogue_pb2.FetchRequest) -> None:
    """A catalogue that a searcher asks for becomes part of a path."""
    cache = Path("/cache")
    path = piece_path(cache, _name(message.custodian, message.collection, message.epoch), 1)
    assert path.is_relative_to(cache)
    assert ".." not in path.parts


def _delta(data: bytes) -> None:
    """What a hostile custodian encrypted well: any bytes in the place of tags, of the signed size."""
    tags = (data + bytes(64 * 8))[: 64 * 8]
    ciphertext = seeds.hostile_delta(tags)
    sealed.open_delta(ciphertext, seeds.SNAPSHOT_KEY, seeds.CATALOGUE.which, delta_size=64)


def _snapshot(data: bytes) -> None:
    """The same for a whole snapshot, up to its root."""
    parts = [seeds.hostile_chunk(data)]
    sealed.open_snapshot(parts, seeds.SNAPSHOT_KEY, seeds.CATALOGUE.which, tag_count=len(data) // 8)


def _sealed(data: bytes) -> None:
    open_sealed(seeds.SEALING, data, context=seeds.PLACE)


def _batch(data: bytes) -> None:
    """Forty elements and a proof, all of a hostile custodian's choosing."""
    parts = [data[at : at + 32] for at in range(0, 40 * 32, 32)]
    check_batch(parts, size=40)
    voprf.check_proof(
        voprf.public_key(seeds.OPRF), list(seeds.elements()), voprf.Evaluation(tuple(parts), data[40 * 32 :])
    )


def _frames() -> tuple[Parser, ...]:
    """What comes down a link, at both ends."""
    question = link_pb2.Question(custodian="police", lookup_id=b"i" * 16, sealed=bytes(link.REQUEST_BYTES[1]))
    sent = (
        link_pb2.AttachRequest(hello=link_pb2.Hello(protocol_min=1, protocol_max=1, sent_ms=1)),
        link_pb2.AttachRequest(beat=link_pb2.Beat(sequence=1)),
        link_pb2.AttachRequest(ask=link_pb2.Ask(ask_id=b"a" * 16, deadline_ms=3000, questions=[question])),
        link_pb2.AttachRequest(
            redeem=link_pb2.Redeem(ask_id=b"a" * 16, custodian="police", sealed=bytes(link.REQUEST_BYTES[2]))
        ),
        link_pb2.AttachRequest(reply=link_pb2.Reply(route=b"r" * 16, sealed=bytes(link.REPLY_BYTES[1]))),
        link_pb2.AttachRequest(drain=link_pb2.Drain(draining=True)),
    )
    notice = directory_pb2.CatalogueNotice(custodian="police", collection="involvement", epoch=1, version=2)
    got = (
        link_pb2.AttachResponse(welcome=link_pb2.Welcome(protocol_version=1, sent_ms=1, beat_ms=5000)),
        link_pb2.AttachResponse(
            dispatch=link_pb2.Dispatch(
                route=b"r" * 16,
                round=1,
                searcher="police",
                lookup_id=b"i" * 16,
                sealed=bytes(link.REQUEST_BYTES[1]),
                remaining_ms=2000,
            )
        ),
        link_pb2.AttachResponse(
            outcome=link_pb2.Outcome(
                ask_id=b"a" * 16, custodian="police", round=1, sealed=bytes(link.REPLY_BYTES[1])
            )
        ),
        link_pb2.AttachResponse(notices=directory_pb2.CatalogueNotices(notices=[notice])),
    )
    return (
        wire(
            "frame_from_node",
            link_pb2.AttachRequest,
            message_of(link_pb2.AttachRequest, link.check_from_node),
            *(frame.SerializeToString() for frame in sent),
        ),
        wire(
            "frame_from_gateway",
            link_pb2.AttachResponse,
            message_of(link_pb2.AttachResponse, link.check_from_gateway),
            *(frame.SerializeToString() for frame in got),
        ),
    )


def _lookups() -> tuple[Parser, ...]:
    """Both rounds, as they stand inside a seal that opened."""
    made = seeds.lookup_messages()
    return (
        wire(
            "evaluate_request",
            lookup_pb2.EvaluateRequest,
            convert.evaluate_request_from_wire,
            *made["request"],
        ),
        wire("evaluate_reply", lookup_pb2.EvaluateReply, convert.evaluate_reply_from_wire, *made["reply"]),
        wire("redeem_request", lookup_pb2.RedeemRequest, convert.redeem_request_from_wire, *made["redeem"]),
        wire("redeem_reply", lookup_pb2.RedeemReply, convert.redeem_reply_from_wire, *made["answer"]),
        wire("signed_message", common_pb2.Signed, convert.signed_from_wire, *made["signed"]),
        Parser("element_batch", _batch, (b"".join(seeds.evaluation().elements) + seeds.evaluation().proof,)),
        Parser("seal", _sealed, (seal(seeds.SEALING.public, b"m" * 90, context=seeds.PLACE, size=100),)),
        Parser("padding", unpad, (b"\0\0\0\3abc" + bytes(20), bytes(4))),
    )


def _documents() -> tuple[Parser, ...]:
    """What is signed, as its signer may write it, and the envelopes around it."""
    receipt = sign_document([seeds.TRUST], RECEIPT_TYPE, seeds.receipt().to_json())
    roster, files = canonical_json(seeds.ROSTER.to_json()), seeds.join_files()
    return (
        Parser(
            "canonical_json",
            _canonical,
            (roster, receipt),
            as_json(canonical_json),
        ),
        Parser("signed_envelope", _envelope, (receipt,), as_json(canonical_json)),
        Parser(
            "receipt_file",
            lambda data: open_receipt(data, seeds.TRUST.public),
            (receipt,),
            as_json(canonical_json),
        ),
        document("receipt", Receipt.from_json, canonical_json(seeds.receipt().to_json())),
        document("roster", Roster.from_json, roster),
        document("key_statement", KeyStatement.from_json, canonical_json(seeds.STATEMENT.to_json())),
        document("agreement", agreement_from_json, seeds.agreement()),
        document("sharing_policy", SharingPolicy.from_json, seeds.sharing_policy()),
        Parser(
            "agreement_text",
            lambda data: agreement_from_toml(data.decode("utf-8", "replace")),
            (seeds.agreement_text().encode(),),
        ),
        document(
            "catalogue_statement", CatalogueStatement.from_json, canonical_json(seeds.CATALOGUE.to_json())
        ),
        Parser(
            "join_request", open_request, (files["request"],), as_json(lambda v: canonical_json(v) + b"\n")
        ),
        Parser("token", _token, (seeds.token_body(),), as_json(canonical_json)),
        Parser(
            "researcher_token", _researcher_token, (seeds.researcher_token_body(),), as_json(canonical_json)
        ),
        Parser("kept_study", Kept.from_bytes, (seeds.kept_study(),), as_json(canonical_json)),
        Parser("certificate_request", lambda data: check_request(data, "police"), (files["csr"],), as_pem),
        Parser("certificate", _certificate, (files["certificate"],), as_pem),
        Parser("admission", Admission.from_bytes, (files["admission"],), as_json(canonical_json)),
        *_of_stewards(),
    )


def _of_stewards() -> tuple[Parser, ...]:
    """What operators and stewards hand each other, as files."""
    proposal, signature = seeds.proposal()
    return (
        Parser("proposal", Proposal.from_bytes, (proposal,), as_json(canonical_json)),
        Parser("proposal_signature", Signature.from_bytes, (signature,), as_json(canonical_json)),
        Parser("steward_card", open_card, (write_card(STEWARDS[0]),), as_json(canonical_json)),
        Parser("chain_file", chain_from_bytes, (chain_to_bytes([seeds.roster()]),), as_json(canonical_json)),
    )


def _catalogues() -> tuple[Parser, ...]:
    """Pieces of catalogues and what they are sealed with."""
    grant = seal(
        seeds.SEALING.public,
        seeds.SNAPSHOT_KEY,
        context=_context(seeds.CATALOGUE.which, "trust"),
        size=CATALOGUE_KEY,
    )
    piece = catalogue_pb2.Piece(
        custodian="police",
        collection="involvement",
        epoch=4,
        version=7,
        snapshot_version=7,
        chunks=1,
        statement=seeds.catalogue_statement(),
        grants=[catalogue_pb2.KeyGrant(searcher="trust", sealed=grant)],
    )
    shown = directory_pb2.Directory(
        roster=seeds.roster(),
        statements=[sign_statement(seeds.POLICE, seeds.STATEMENT)],
    )
    return (
        Parser(
            "catalogue_piece",
            _intake,
            (catalogue_pb2.FetchResponse(piece=piece).SerializeToString(),),
            as_message(catalogue_pb2.FetchResponse),
            (ElsewhereError, DecodeError, Superseded),
        ),
        wire(
            "catalogue_publication",
            catalogue_pb2.PublishRequest,
            message_of(catalogue_pb2.PublishRequest, _publication),
            catalogue_pb2.PublishRequest(piece=piece).SerializeToString(),
        ),
        wire(
            "catalogue_fetch",
            catalogue_pb2.FetchRequest,
            message_of(catalogue_pb2.FetchRequest, _fetch),
            catalogue_pb2.FetchRequest(
                custodian="police", collection="involvement", epoch=4
            ).SerializeToString(),
        ),
        Parser("catalogue_delta", _delta, (to_bytes(seeds.TAGS[:64]),)),
        Parser("catalogue_snapshot", _snapshot, (to_bytes(seeds.TAGS),)),
        wire("directory", directory_pb2.Directory, _member_documents, shown.SerializeToString()),
    )


def all_parsers() -> tuple[Parser, ...]:
    """Every parser there is."""
    return (
        *_frames(),
        *_lookups(),
        *_documents(),
        *_catalogues(),
        *log_parsers(),
        *desk_parsers(),
        *study_parsers(),
    )
