"""Parsers of what others show of their logs: checkpoints, witnesses' lines, proofs."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from elsewhere.canonical import Json, canonical_json
from elsewhere.comparing import MAX_NOTE, compared_at, open_told, sign_held
from elsewhere.fields import format_instant
from elsewhere.freshness import fresh_at, sign_as_gateway, sign_as_member
from elsewhere.receipt import attach_proof, open_receipt_proof, sign_receipt
from elsewhere.rekeying import REKEYING_TYPE, RekeyingInvalid, open_rekeying, sign_rekeying
from elsewhere.renewal import RENEWAL_TYPE, open_renewal
from elsewhere.roster import Member
from elsewhere.signing import SigningKey, enclose, sign_bytes
from elsewhere.transparency.checkpoint import Checkpoint, log_origin, open_checkpoint, sign_checkpoint
from elsewhere.transparency.errors import NoteInvalid
from elsewhere.transparency.merkle import check_consistency, check_inclusion, node_hash
from elsewhere.transparency.note import Verifier, add_lines, cosign, only_by, open_note
from elsewhere.transparency.proof import LogProof, open_proof
from elsewhere.wire.v1 import ledger_pb2
from gateway.comparing import Comparing
from gateway.freshening import Freshening
from node.auditing.drawing import DRAW_TYPE, DrawFile, open_draw
from tests.fuzz import seeds
from tests.fuzz.mutation import as_json
from tests.fuzz.parser import Parser, message_of, wire

ORIGIN = log_origin("northshire", "trust")
ROSTER = replace(seeds.ROSTER, gateway_key=seeds.POLICE.public)
WITNESS = Verifier("northshire/police/witness", seeds.POLICE.public, is_witness=True)
COMING = SigningKey.from_seed(b"\x0b" * 32)
LOG = Verifier(ORIGIN, seeds.TRUST.public)
LEAF, BESIDE = bytes.fromhex(seeds.receipt().leaf), b"b" * 32
ROOT = node_hash(LEAF, BESIDE)


def _note() -> str:
    note = sign_checkpoint(Checkpoint(ORIGIN, 2, ROOT), seeds.TRUST).decode()
    return add_lines(note, [cosign(note, WITNESS.name, seeds.POLICE, 1_000)])


def _checkpoint(data: bytes) -> None:
    """A checkpoint that is taken is whole, and so is what is kept of it."""
    seen = open_checkpoint(data, ORIGIN, seeds.TRUST.public, [WITNESS])
    kept = only_by(data.decode("utf-8"), [LOG, WITNESS])
    assert open_checkpoint(kept.encode(), ORIGIN, seeds.TRUST.public, [WITNESS]) == seen
    open_note(data, [LOG])


def _proof(data: bytes) -> None:
    found = LogProof.from_text(data.decode("utf-8", "replace"))
    assert open_proof(found, LEAF, ORIGIN, [seeds.TRUST.public]).checkpoint.root == ROOT


def _receipt(data: bytes) -> None:
    """The proof beside a receipt of which only the signature has been checked."""
    member = Member("trust", "Trust", "NHS_TRUST", "Trust", "active", seeds.TRUST.public)
    open_receipt_proof(data, seeds.receipt(), member, "northshire", [WITNESS])


def _path(found: ledger_pb2.ProveGrowthResponse) -> None:
    check_inclusion(LEAF, 0, 2, tuple(found.path), ROOT)
    check_consistency(1, 2, LEAF, ROOT, tuple(found.path))


def _line(found: ledger_pb2.CosignRequest) -> None:
    """A witness's line, as a gateway puts it under a checkpoint that it holds."""
    bare = sign_checkpoint(Checkpoint(ORIGIN, 2, ROOT), seeds.TRUST).decode()
    open_checkpoint(add_lines(bare, [found.line]).encode(), ORIGIN, seeds.TRUST.public, [WITNESS])


def _draw(data: bytes) -> None:
    """A draw as an auditor brings it to the agency that is audited."""
    found = DrawFile.from_bytes(data)
    found = replace(found, signature=sign_bytes(seeds.POLICE, DRAW_TYPE, found.stated()))
    for state in open_draw(found, seeds.ROSTER, "trust", seeds.NOW).states:
        assert state.checkpoint.size == 2


def _freshness(data: bytes) -> None:
    """Who has seen a roster: lines that a gateway takes of members, and gives to others."""
    found = fresh_at(data, ROSTER, "trust", seeds.NOW)
    assert found is None or found <= seeds.NOW
    Freshening(lambda: ROSTER, seeds.POLICE).exchange("police", data.decode("utf-8", "replace"))


def _comparing(data: bytes) -> None:
    """What a member says that it holds of another: a gateway takes it, and gives it to others."""
    Comparing(lambda: ROSTER, lambda: 0.0).exchange("police", [data[:MAX_NOTE]])
    with contextlib.suppress(NoteInvalid):
        compared_at([open_told(data, ROSTER)], seeds.STATEMENT, ROSTER, "trust", seeds.NOW)


def _renewal(data: bytes) -> None:
    """A member's wish for a certificate: what it signed itself, as nothing else is read."""
    signature = sign_bytes(seeds.POLICE, RENEWAL_TYPE, data)
    envelope = enclose(RENEWAL_TYPE, data, {seeds.POLICE.public: signature})
    open_renewal(envelope, seeds.POLICE.public, seeds.NOW)


def _rekeying(data: bytes) -> None:
    """A member's wish for another signing key as it is handed over; then with signatures that hold."""
    for file in (data, _both_signed(data)):
        with contextlib.suppress(RekeyingInvalid):
            open_rekeying(file, ROSTER)


def _both_signed(payload: bytes) -> bytes:
    keys = (seeds.POLICE, COMING)
    signatures = {key.public: sign_bytes(key, REKEYING_TYPE, payload) for key in keys}
    return enclose(REKEYING_TYPE, payload, signatures)


def log_parsers() -> tuple[Parser, ...]:
    """Everything that is read of others' logs."""
    note = _note()
    proof = LogProof(0, (BESIDE,), note)
    receipt = attach_proof(sign_receipt(seeds.TRUST, seeds.receipt()), proof)
    line = note.splitlines(keepends=True)[-1]
    cosigned = ledger_pb2.CosignRequest(agency="trust", size=2, line=line)
    path = ledger_pb2.ProveGrowthResponse(path=[BESIDE])
    of_ours = sign_checkpoint(Checkpoint(log_origin(seeds.ROSTER.federation, "trust"), 2, ROOT), seeds.TRUST)
    seen = cosign(of_ours.decode(), f"{seeds.ROSTER.federation}/police/witness", seeds.POLICE, 1_000)
    fresh = sign_as_gateway(ROSTER, seeds.POLICE)
    fresh = add_lines(fresh, [sign_as_member(ROSTER, "police", seeds.POLICE, seeds.NOW)])
    notes = (add_lines(of_ours.decode(), [seen]),)
    draw = DrawFile("trust", "police", seeds.NOW.replace(microsecond=0), notes, bytes(64))
    police = (ROSTER.federation, "police", seeds.POLICE)
    wish: dict[str, Json] = {"csr_pem": "x", "made_utc": format_instant(seeds.NOW)}
    return (
        Parser("checkpoint", _checkpoint, (note.encode(),)),
        Parser("log_proof", _proof, (proof.to_text().encode(),)),
        Parser("receipt_proof", _receipt, (receipt,), as_json(canonical_json)),
        Parser("certificate_renewal", _renewal, (canonical_json(wish),), as_json(canonical_json)),
        Parser(
            "rekeying_request",
            _rekeying,
            (
                sign_rekeying("police", seeds.POLICE, COMING),
                canonical_json({"agency_id": "police", "signing_key": COMING.public.hex()}),
            ),
            as_json(canonical_json),
        ),
        Parser("roster_freshness", _freshness, (fresh.encode(),)),
        Parser("statement_note", _comparing, (sign_held(seeds.STATEMENT, police, seeds.NOW),)),
        Parser("draw_file", _draw, (draw.to_bytes(),), as_json(lambda v: canonical_json(v) + b"\n")),
        wire(
            "cosignature",
            ledger_pb2.CosignRequest,
            message_of(ledger_pb2.CosignRequest, _line),
            cosigned.SerializeToString(),
        ),
        wire(
            "log_path",
            ledger_pb2.ProveGrowthResponse,
            message_of(ledger_pb2.ProveGrowthResponse, _path),
            path.SerializeToString(),
        ),
    )
