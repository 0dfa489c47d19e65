"""A receipt's proof, brought up to a state of the log that its witnesses have signed.

Sees:     one receipt; at the gateway, that this agency wants the proof of one entry of one log.
Refuses:  a log that is not the one the receipt was given under, grown: both states are then the evidence.
Source:   docs/ledger.md, "What a receipt proves"; RFC 9162 §2.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc

from elsewhere.receipt import attach_proof, attached_proof, open_member_receipt, open_receipt_proof
from elsewhere.roster import Roster
from elsewhere.transparency.checkpoint import Seen, log_origin, open_log
from elsewhere.transparency.errors import LogShort, ProofBroken
from elsewhere.transparency.merkle import check_consistency, check_inclusion
from elsewhere.transparency.note import Verifier, only_by
from elsewhere.transparency.proof import LogProof
from elsewhere.transparency.witnesses import verifiers_of
from elsewhere.wire.v1 import ledger_pb2, ledger_pb2_grpc
from node.ledger.showing import CALL_TIMEOUT_S
from node.links.calls import breaking


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A receipt with its new proof, and who has seen the log so."""

    envelope: bytes = field(repr=False)
    seen: Seen


async def refresh(channel: grpc.aio.Channel, envelope: bytes, roster: Roster) -> Refreshed:
    """Fetch the proof of a receipt's entry under the newest state that all witnesses have signed.

    Raises:
        SignatureInvalid, NoteInvalid: the receipt, or what the gateway shows, is not what it claims.
        LogShort: the witnesses have not signed a state with this entry yet. Try again in a minute.
        ProofBroken: the log is another one than it was, or the entry is not in it. Keep both.
        CallBroke: the gateway cannot be asked.
    """
    stub = ledger_pb2_grpc.LedgerServiceStub(channel)
    receipt, member = open_member_receipt(envelope, roster)
    before = open_receipt_proof(envelope, receipt, member, roster.federation).checkpoint
    place, agency = attached_proof(envelope).index, member.agency_id
    with breaking():
        shown = await stub.Checkpoints(ledger_pb2.CheckpointsRequest(agency=agency), timeout=CALL_TIMEOUT_S)
    note = next((log.witnessed for log in shown.logs if log.agency == agency), b"")
    if not note:
        raise LogShort("expected a state of that log that its witnesses have signed; there is none yet")
    origin, witnesses = log_origin(roster.federation, agency), verifiers_of(roster, agency)
    seen = open_log(note, origin, member.signing_key, witnesses, earlier=member.earlier_keys)
    size = seen.checkpoint.size
    if seen.checkpoint.origin != before.origin:
        raise ProofBroken("expected the log that this receipt was given under; another was begun since")
    if size < before.size:
        raise LogShort("expected a witnessed state of that log with this entry; try again in a minute")
    asked = ledger_pb2.ProveGrowthRequest(agency=agency, old_size=before.size, new_size=size)
    with breaking():
        growth = await stub.ProveGrowth(asked, timeout=CALL_TIMEOUT_S)
        entry = await stub.ProveEntry(
            ledger_pb2.ProveEntryRequest(agency=agency, index=place, size=size), timeout=CALL_TIMEOUT_S
        )
    check_consistency(before.size, size, before.root, seen.checkpoint.root, tuple(growth.path))
    check_inclusion(bytes.fromhex(receipt.leaf), place, size, tuple(entry.path), seen.checkpoint.root)
    kept = only_by(note.decode("utf-8"), [*witnesses, Verifier(seen.checkpoint.origin, seen.key)])
    return Refreshed(attach_proof(envelope, LogProof(place, tuple(entry.path), kept)), seen)
