"""`elsewhere audit verify` and `refresh`: whether receipts, and this agency's own log, are genuine.

Sees:     receipts from case files, of which nothing is trusted; hashes of this agency's own log.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elsewhere.asking import MAX_RECEIPT_BYTES
from elsewhere.cli.audit_options import FOLDER, JSON, read_roster
from elsewhere.cli.words import describe_time, printable
from elsewhere.keyfiles import replace_file
from elsewhere.receipt import attached_proof, check_seen_in_time, open_member_receipt, open_receipt_proof
from elsewhere.transparency.checkpoint import Seen, log_origin
from elsewhere.transparency.witnesses import all_verifiers

if TYPE_CHECKING:
    from node.auditing.refreshing import Refreshed

_RECEIPT = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("verify", short_help="Check a receipt, or this agency's whole log.")
@click.argument("receipt", type=_RECEIPT, required=False)
@FOLDER
@JSON
def verify(receipt: Path | None, directory: Path, as_json: bool) -> None:
    """Check RECEIPT, a file with what --json shows as an answer's "receipt"; without one, this agency's log.

    Needs no network. A receipt is genuine when the agency it names has signed it, with the key that this
    node's roster gives, and proves that the answer is in that agency's log. A log is sound when every entry,
    the tree over them and every checkpoint ever signed fit together. Ends with 0 then, and with 1 otherwise.
    """
    said = _on_log(directory) if receipt is None else _on_receipt(receipt, directory)
    if as_json:
        click.echo(json.dumps(said))
        return
    click.echo(said.pop("verdict"))
    for name, value in said.items():
        for key, text in value.items() if isinstance(value, dict) else [(name, value)]:
            shown = ", ".join(text) if isinstance(text, list) else str(text)
            click.echo(f"  {key:<14}  {printable(shown)}")


def _on_receipt(receipt: Path, directory: Path) -> dict[str, Any]:
    envelope, roster = _read(receipt), read_roster(directory / "trust")
    found, member = open_member_receipt(envelope, roster)
    seen = open_receipt_proof(envelope, found, member, roster.federation, all_verifiers(roster))
    check_seen_in_time(seen, roster)
    return {
        "verdict": f"genuine: signed by {printable(member.name)} ({member.agency_id}, now {member.state})",
        "receipt": found.to_json(),
        "signer": {"name": member.name, "state": member.state, "roster_version": roster.version},
        "log": {
            "entry": f"{attached_proof(envelope).index + 1} of {seen.checkpoint.size}",
            "witnesses": _witnesses(seen),
        },
    }


def _on_log(directory: Path) -> dict[str, Any]:
    from node.config import load_config
    from node.keys.ring import read_earlier, read_signing
    from node.ledger.verify import read_whole
    from node.owning import open_own

    config, roster = load_config(directory), read_roster(directory / "trust")
    with open_own(config) as store, store.read() as connection:
        origin = log_origin(roster.federation, config.agency)
        found = read_whole(connection, origin, read_signing(directory).public, read_earlier(directory))
    return {
        "verdict": f"sound: {found.entries} entries, {found.checkpoints} checkpoints",
        "root": found.root.hex(),
    }


@click.command("refresh", short_help="Add to a receipt who has seen its log since.")
@click.argument("receipt", type=_RECEIPT)
@FOLDER
def refresh(receipt: Path, directory: Path) -> None:
    """Replace the proof in RECEIPT by one that other agencies have signed as witnesses. Asks the gateway.

    A receipt comes with its custodian's signature alone; some minutes later two others have seen the log as
    it was. Ends with 1, and leaves the file as it is, when there is no such proof.
    """
    envelope = _read(receipt)
    done = asyncio.run(_refresh(envelope, directory))
    replace_file(receipt, done.envelope)
    click.echo(f"seen by {', '.join(_witnesses(done.seen))}, at {done.seen.checkpoint.size} entries")


async def _refresh(envelope: bytes, directory: Path) -> Refreshed:
    """Ask one gateway after the other."""
    import grpc

    from elsewhere.wire.channel import CLIENT_OPTIONS
    from node.auditing.refreshing import refresh as fetch
    from node.config import load_config
    from node.links.calls import CallBroke
    from node.membership.hop import ShownHop
    from node.membership.trust import read_anchor

    config, roster = load_config(directory), read_roster(directory / "trust")
    credentials = ShownHop(directory, read_anchor(directory).tls_ca_pem).credentials
    code = "gateway.unreachable"
    for address in config.gateways:
        async with grpc.aio.secure_channel(address, credentials, options=CLIENT_OPTIONS) as channel:
            try:
                return await fetch(channel, envelope, roster)
            except CallBroke as err:
                code = err.code
    raise click.ClickException(f"no gateway could prove it ({code}); try again in a minute")


def _read(receipt: Path) -> bytes:
    with receipt.open("rb") as file:
        return file.read(MAX_RECEIPT_BYTES)


def _witnesses(seen: Seen) -> list[str]:
    """Who has seen a log so, and when; the agency's id is the middle of a witness's name."""
    return [
        f"{one.by.name.split('/')[1]} ({describe_time(datetime.fromtimestamp(one.at_s or 0, UTC))})"
        for one in seen.witnesses
    ]
