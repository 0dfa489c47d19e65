"""`elsewhere node`: one agency's node, from its first key to its daily run.

Sees:     the arguments; each command's module does the work, imported only when it is typed.
Promises: the process is hardened before any command runs, as nearly all of them read or make keys.
"""

from __future__ import annotations

import click

from elsewhere.cli.lazy import Lazy, LazyGroup
from elsewhere.hardening import harden

_COMMANDS = {
    "init": Lazy("elsewhere.cli.node_enrol", "init", "Make a new node's folder and keys, and ask to join."),
    "accept": Lazy("elsewhere.cli.node_enrol", "accept", "Take the admission the gateway's operator sent."),
    "join": Lazy("elsewhere.cli.node_join", "join", "Join a federation with the token of an invitation."),
    "mapping": Lazy("elsewhere.cli.node_load", "mapping", "Suggest how to read an export of records."),
    "load": Lazy("elsewhere.cli.node_load", "load", "Replace the records of one source by an export."),
    "reload": Lazy("elsewhere.cli.node_reload", "reload", "Load sources again when they have changed."),
    "drop-source": Lazy("elsewhere.cli.node_sources", "drop_source", "Take a source that has ended out."),
    "run": Lazy("elsewhere.cli.node_run", "run", "Run the node until it is stopped."),
    "status": Lazy("elsewhere.cli.node_run", "status", "Say whether a lookup could succeed now."),
    "review": Lazy("elsewhere.cli.node_review", "review", "Decide about questions that wait for a person."),
    "second-look": Lazy(
        "elsewhere.cli.node_second", "second_look", "Look at questions asked on the asker's own word."
    ),
    "notices": Lazy("elsewhere.cli.node_notices", "notices", "Read the messages to this agency's duty desk."),
    "doctor": Lazy("elsewhere.cli.node_doctor", "doctor", "Say whether the tables that studies count fit."),
    "budget": Lazy(
        "elsewhere.cli.node_budget", "budget", "Show what studies have cost, and settle a restore."
    ),
    "rotate": Lazy("elsewhere.cli.node_rotate", "rotate", "Change keys now, not when it is time."),
    "take-roster": Lazy(
        "elsewhere.cli.node_roster", "take_roster", "Take a roster from the stewards' files."
    ),
    "take-agreement": Lazy(
        "elsewhere.cli.node_roster", "take_agreement", "Take an agreement from the stewards' files."
    ),
    "take-store": Lazy("elsewhere.cli.node_store", "take_store", "Make another node's store this one's."),
    "accept-store": Lazy("elsewhere.cli.node_store", "accept_store", "Take a restored store as it is."),
    "begin-log": Lazy("elsewhere.cli.node_store", "begin_log", "Begin a new log after a restore."),
    "upgrade": Lazy("elsewhere.cli.upgrade", "node", "Bring the store to this version's tables."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def node() -> None:
    """Set up and run one agency's node; load its records."""
    harden()
