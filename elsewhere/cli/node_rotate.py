"""`elsewhere node rotate`: new keys now, not when it is time; and what `node status` says of keys.

Sees:     the node's folder. Prints no secret.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elsewhere.cli.paths import FOLDER, OutFile
from elsewhere.cli.words import printable
from elsewhere.errors import ElsewhereError
from elsewhere.fields import format_instant
from elsewhere.keyfiles import replace_file

if TYPE_CHECKING:
    from node.keys.orders import Order
    from node.keys.status import KeyStatus

_IN_A_HURRY = timedelta(hours=1)
_ON_TIME = timedelta(days=1)  # within it a certificate is renewed once it is due, unless something is wrong
_FOLDER = click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")


@click.group("rotate")
def rotate() -> None:
    """Change keys now. A running node does it by itself when it is time, and carries this out at once."""


@rotate.command("epoch", short_help="Tag all records under new keys; destroy those before.")
@_FOLDER
@click.option(
    "--overlap-hours",
    type=click.FloatRange(0.01, 744),
    help="How long the keys before go on; if not given, keys.overlap_hours.",
)
@click.option(
    "--compromised",
    is_flag=True,
    help="Somebody may have seen the keys: begin again even if a change is under way, whose keys are then "
    "never used, and let the keys before go on for an hour only, unless --overlap-hours says otherwise.",
)
def epoch(directory: Path, overlap_hours: float | None, compromised: bool) -> None:
    """Begin a new epoch: all records are tagged under new keys, and the ones before are then destroyed.

    What was removed or shielded since the last time leaves the catalogues with it. While a change is under
    way another one is refused, unless keys may have been seen.
    """
    from node.config import load_config
    from node.keys.orders import Wish, order_epochs
    from node.owning import open_own

    config = load_config(directory)
    usual = config.keys.schedule()
    overlap = min(usual.overlap, _IN_A_HURRY) if compromised else usual.overlap
    overlap = timedelta(hours=overlap_hours) if overlap_hours is not None else overlap
    with open_own(config) as store:
        order = order_epochs(directory, store, Wish(overlap, compromised), datetime.now(UTC))
    for line in _what_happens(directory, order, usual.announce, is_compromised=compromised):
        click.echo(line)


@rotate.command("sealing", short_help="Make a new key for others to seal to.")
@_FOLDER
def sealing(directory: Path) -> None:
    """Make a new sealing key, that others seal their questions to as soon as they hear of it."""
    from node.config import load_config
    from node.keys.orders import order_sealing
    from node.owning import open_own

    config = load_config(directory)
    with open_own(config) as store:
        order_sealing(directory, store, secrets.token_bytes)
    hours = config.keys.schedule().sealing_overlap / timedelta(hours=1)
    click.echo("made a new sealing key: the one that others seal their questions to this agency with.")
    click.echo("now:   a running node tells others within seconds; one that does not run does when it starts")
    click.echo(f"later: for {hours:g} hours the key before opens what comes late; then the node destroys it")
    click.echo("to do: nothing more")


@rotate.command("tls", short_help="Make a new key and certificate for the links to gateways.")
@_FOLDER
def tls(directory: Path) -> None:
    """Make a new TLS key, have a gateway certify it, destroy the one before; as a node does every 15 days."""
    import asyncio

    from node.config import load_config
    from node.membership.renewal import renew_now
    from node.membership.trust import read_anchor
    from node.owning import open_own
    from node.running import utc_now

    config, ca_pem = load_config(directory), read_anchor(directory).tls_ca_pem
    with open_own(config) as store:
        hop = asyncio.run(renew_now(config, ca_pem, store, utc_now))
    click.echo(f"made a new TLS key; its certificate ends {format_instant(hop.ends_utc)}")
    click.echo("now:   a running node opens new links with it within seconds, and loses no question")
    click.echo("to do: nothing more. If somebody has the key before, the certificate is good until its end:")
    click.echo("       tell the gateway's operator to look for links of this agency that are not yours")


@rotate.command("signing", short_help="Ask the stewards to list a new signing key.")
@_FOLDER
@click.option("--out", type=OutFile(), required=True, help="Where to write what the operator is to propose.")
def signing(directory: Path, out: Path) -> None:
    """Make a new signing key, and write what the gateway's operator needs to have the stewards list it.

    Until they have, this node signs with the one it has. Run again before that, it writes the same once more.
    """
    from node.config import load_config
    from node.keys.signing import ask_for_signing
    from node.owning import open_own

    config = load_config(directory)
    with open_own(config) as store:
        wish, fingerprint = ask_for_signing(directory, config.agency, store, secrets.token_bytes)
    replace_file(out, wish)
    click.echo("made a new signing key; it is not in force yet")
    click.echo(f"to do: give {out} to the gateway's operator: elsewhere gateway propose --rekey {out} ...")
    click.echo(f"       read the stewards this fingerprint, over a telephone: {fingerprint}")
    click.echo("later: within seconds of their roster the running node signs with it and destroys the one")
    click.echo(
        "       before, its catalogues are made anew, and others ask again when they have fetched them"
    )


@rotate.command("local", short_help="Encrypt what the node keeps at rest anew. Stop the node first.")
@_FOLDER
def local(directory: Path) -> None:
    """Make a new key for what lies in the node's folder and store, and encrypt all of it anew.

    The node must not run. If this is stopped half-way, run it again: the node does not start before.
    """
    from node.config import load_config
    from node.keys.local import rotate_local
    from node.owning import open_own

    with open_own(load_config(directory)) as store:
        changed = rotate_local(directory, store, secrets.token_bytes)
    click.echo("made a new local key and destroyed the one before")
    click.echo(
        f"now:   {changed.openings} questions kept for the audit and {changed.catalogues} catalogues of this "
        "agency are encrypted under it"
    )
    click.echo(
        f"later: {changed.copies} copies of others' catalogues were removed; the node fetches them again"
    )
    click.echo(f"to do: start the node: elsewhere node run --dir {directory}")


def _what_happens(directory: Path, order: Order, announce: timedelta, *, is_compromised: bool) -> list[str]:
    """What an order for new epochs does now, what it does by itself later, and what is left to do."""
    hours, minutes = order.overlap / timedelta(hours=1), announce / timedelta(minutes=1)
    names = " and ".join(f"{collection} (epoch {number})" for collection, number in sorted(order.epochs))
    lines = [
        f"ordered new keys for {names}; nothing has changed for others yet",
        "now:   the node tags all records under the new keys, which takes as long as a first load, and goes",
        "       on answering under those in force; one that does not run begins when it is started",
        f"later: others are told when all is tagged, and {minutes:g} minutes after that ask under these;",
        f"       {hours:g} hours after that those in force now end, and a quarter of an hour later they are",
        "       destroyed, with their tags. An agency whose node is off for all of that time cannot ask here",
        "       (STALE) until it has fetched the new catalogue",
        f"to do: keep the node running; how far it is: elsewhere node status --dir {directory}",
    ]
    if is_compromised:
        lines.insert(1, "       a change that was under way is given up, and its keys are never used")
        lines.append("       and, as somebody may have seen the sealing key too:")
        lines.append(f"       elsewhere node rotate sealing --dir {directory}")
    return lines


def read_key_status(directory: Path) -> KeyStatus | None:
    """Read how a node's keys stand; None where that cannot be told, as before its first start."""
    from node.config import load_config
    from node.keys.status import key_status

    try:
        return key_status(directory, load_config(directory).keys.schedule(), datetime.now(UTC))
    except (ElsewhereError, OSError):
        return None


def key_status_to_json(found: KeyStatus | None) -> dict[str, object] | None:
    """What programs read."""
    if found is None:
        return None
    end = found.certificate_ends_utc
    return {
        "statement_version": found.version,
        "epochs": [
            {
                "collection": entry.collection,
                "epoch": entry.epoch,
                "state": entry.state,
                "begins": format_instant(entry.begins_utc),
                "ends": format_instant(entry.ends_utc),
            }
            for entry in found.epochs
        ],
        "sealing_keys": found.sealing_keys,
        "next_epoch": format_instant(found.next_epoch_utc),
        "next_sealing": format_instant(found.next_sealing_utc),
        "rotating": found.is_rotating,
        "rekeying": found.is_rekeying,
        "certificate_ends": format_instant(end) if end is not None else None,
        "missing_sources": list(found.missing_sources),
        "overdue_since": format_instant(found.overdue_since_utc) if found.overdue_since_utc else None,
    }


def describe_keys(found: KeyStatus, now: datetime) -> list[str]:
    """One line an epoch, and when the next keys come."""
    lines = []
    for entry in found.epochs:
        days = (now - entry.begins_utc) / timedelta(days=1)
        when = f"for {days:.1f} days" if days >= 0 else f"from {format_instant(entry.begins_utc)}"
        end = f", until {format_instant(entry.ends_utc)}" if entry.state == "ending" else ""
        lines.append(f"  keys of {entry.collection}: epoch {entry.epoch} {entry.state} {when}{end}")
    if not found.epochs:
        lines.append("  keys: none that others can ask under until all records are tagged anew")
    if found.missing_sources:
        lines.append(f"  STORE SET BACK: load again: {', '.join(map(printable, found.missing_sources))};")
        lines.append("  see docs/store.md, 'Restore'")
    if found.is_rotating:
        lines.append("  a new epoch was ordered; records are being tagged under its keys")
    else:
        lines.append(f"  next epoch {format_instant(found.next_epoch_utc)}")
    if found.overdue_since_utc is not None:
        lines.append(f"  OVERDUE: keys should have changed at {format_instant(found.overdue_since_utc)};")
        lines.append("  see docs/keys.md, 'When a change does not end'")
    if found.is_rekeying:
        lines.append("  a new signing key waits for the stewards to list it")
    until, due = found.certificate_ends_utc, found.certificate_due_utc
    if until is not None and due is not None:
        late = " LATE: see docs/keys.md, 'The TLS certificate';" if now > due + _ON_TIME else ""
        lines.append(f"  certificate until {format_instant(until)},{late} next {format_instant(due)}")
    lines.append(f"  sealing keys {found.sealing_keys}, next {format_instant(found.next_sealing_utc)}")
    return lines
