"""`elsewhere node run` and `elsewhere node status`: the node as a process, and whether it is ready.

Sees:     the node's folder, and through its desk which members it can ask.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from elsewhere.asking import DeskStatus, ProcessStatus
from elsewhere.cli.node_rotate import describe_keys, key_status_to_json, read_key_status
from elsewhere.cli.node_sources import describe_sources, read_sources, sources_to_json
from elsewhere.cli.paths import FOLDER
from elsewhere.cli.words import printable
from elsewhere.errors import DeskUnreachable
from elsewhere.fields import format_instant
from elsewhere.sdk.desk import Desk

POLL_S = 0.2
_FOLDER = click.option("--dir", "directory", type=FOLDER, required=True, help="The node's folder.")


@click.command("run")
@_FOLDER
@click.option("--process", default="main", show_default=True, metavar="NAME", help="Which process this is.")
@click.option("--listen", default="", metavar="HOST:PORT", help="Its desk, in place of desk.listen.")
def run(directory: Path, process: str, listen: str) -> None:
    """Run the node until it is stopped (Ctrl-C or SIGTERM); questions at hand are finished first.

    Several processes may run one node, each under a name of its own: they share its folder and its store.
    It says on standard error what it does: in words on a terminal, in JSON lines anywhere else.
    """
    from node.temporaries import keep_temporaries

    keep_temporaries(directory)
    from node.processes.place import Place
    from node.running import run as run_node

    sys.exit(run_node(Place(directory, process), listen=listen))


@click.command("status")
@_FOLDER
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Wait up to so long for it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(directory: Path, wait_s: float, as_json: bool) -> None:
    """Say whether a lookup through this node could succeed now. Ends with 0 when it could, 1 when not.

    Ready means: linked to a gateway, with roster and agreement in force, and holding the catalogue of every
    agency that can be reached.
    """
    found: DeskStatus | None = None
    words = ""
    try:
        found = poll_status(directory, wait_s=wait_s, monotonic=time.monotonic, sleep=time.sleep)
        words = _describe(found)
    except DeskUnreachable as err:
        words = f"not running: {err}"
    keys = read_key_status(directory)
    sources, now = read_sources(directory), datetime.now(UTC)
    if as_json:
        told = {"keys": key_status_to_json(keys), "sources": sources_to_json(sources, now)}
        click.echo(json.dumps({**_status_to_json(found), **told}))
    else:
        lines = [words, *(describe_keys(keys, now) if keys is not None else ())]
        click.echo("\n".join([*lines, *describe_sources(sources or (), now)]))
    sys.exit(0 if found is not None and found.is_ready else 1)


def poll_status(
    directory: Path, *, wait_s: float, monotonic: Callable[[], float], sleep: Callable[[float], None]
) -> DeskStatus:
    """Ask the node until it is ready or the time is up.

    Args:
        directory: the node's folder.
        wait_s: seconds from now; 0 asks once.
        monotonic, sleep: the machine's, outside tests.

    Returns:
        The last status.

    Raises:
        DeskUnreachable: no node answered by then.
    """
    end = monotonic() + wait_s
    while True:
        is_last = monotonic() >= end
        try:
            with Desk(directory) as desk:
                found = desk.status()
            if found.is_ready or is_last:
                return found
        except DeskUnreachable:
            if is_last:
                raise
        sleep(POLL_S)


def _status_to_json(found: DeskStatus | None) -> dict[str, object]:
    """The same keys whether or not a node answered."""
    members = found.members if found is not None else ()
    processes = found.processes if found is not None else ()
    return {
        "agency": found.agency if found is not None else None,
        "running": found is not None,
        "ready": found is not None and found.is_ready,
        "second_looks_overdue": found.second_looks_overdue if found is not None else 0,
        "reviews_waiting": found.reviews_waiting if found is not None else 0,
        "members": [
            {
                "custodian": member.custodian,
                "name": member.name,
                "statement": member.has_statement,
                "catalogue_version": member.catalogue_version,
            }
            for member in members
        ],
        "processes": [
            {
                "name": process.name,
                "running": process.is_running,
                "leads": process.leads,
                "linked": process.is_linked,
                "ready": process.is_ready,
                "seen": format_instant(process.seen_utc),
            }
            for process in processes
        ],
    }


def _words_of(process: ProcessStatus) -> str:
    """How one process of the node does."""
    if not process.is_running:
        return f"not running; last seen {format_instant(process.seen_utc)}"
    words = ["ready" if process.is_ready else "not ready", "linked" if process.is_linked else "not linked"]
    return ", ".join(["leads", *words] if process.leads else words)


def _describe(found: DeskStatus) -> str:
    """One line for the node, one for each other agency."""
    lines = [f"{found.agency}: {'ready' if found.is_ready else 'running, not ready yet'}"]
    for member in found.members:
        keys = "keys held" if member.has_statement else "no keys yet"
        version = member.catalogue_version
        held = f"catalogue version {version}" if version else "no catalogue yet"
        lines.append(f"  {member.custodian} ({printable(member.name)}): {keys}, {held}")
    if [process.name for process in found.processes] != ["main"]:
        lines += [f"  process {process.name}: {_words_of(process)}" for process in found.processes]
    if found.second_looks_overdue:
        lines.append(
            f"OVERDUE: {found.second_looks_overdue} question(s) asked on vital interests, or beyond a limit, "
            "wait for a second person; see 'elsewhere node second-look list'"
        )
    if found.reviews_waiting:
        lines.append(
            f"{found.reviews_waiting} question(s) of others wait for a person here: 'node review list'"
        )
    if not found.is_ready:
        lines.append("It becomes ready once it is linked to a gateway, an agreement is in force, and the")
        lines.append("catalogue of every agency that can be reached is held; its own log says what fails.")
    return "\n".join(lines)
