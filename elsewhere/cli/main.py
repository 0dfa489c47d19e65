"""The `elsewhere` command: a group that imports a noun's module only when that noun is typed.

Sees:     the arguments; each noun's module does the work.
Refuses:  nothing itself; an error raised on purpose is shown as one line, `error [code]: message`, exit 1;
          so is one of the operating system, which has no code.
"""

from __future__ import annotations

import os
import sys

import click

from elsewhere.cli.lazy import Lazy, LazyGroup
from elsewhere.errors import ElsewhereError

_NOUNS = {
    "gateway": Lazy(
        "elsewhere.cli.gateway", "gateway", "Set up and run a partnership's gateway; admit agencies."
    ),
    "steward": Lazy(
        "elsewhere.cli.steward", "steward", "Keep a steward's key; sign what the operator proposes."
    ),
    "node": Lazy("elsewhere.cli.node", "node", "Set up and run one agency's node; load its records."),
    "ask": Lazy("elsewhere.cli.ask", "ask", "Ask the other agencies about one child, through your own node."),
    "history": Lazy("elsewhere.cli.history", "history", "Show what came of an earlier question, also late."),
    "agreement": Lazy(
        "elsewhere.cli.agreement", "agreement", "Write, check, compare and try out a sharing agreement."
    ),
    "matchkeys": Lazy("elsewhere.cli.matchkeys", "matchkeys", "Show which match keys a person yields."),
    "audit": Lazy("elsewhere.cli.audit", "audit", "Read the log and check receipts."),
    "research": Lazy(
        "elsewhere.cli.research", "research", "Ask noisy totals over agencies, as an approved researcher."
    ),
    # The demonstration stands above the commands it runs: named here, never imported by this package.
    "demo": Lazy("elsewhere.demo.command", "demo", "A gateway and four made-up agencies on this machine."),
}


@click.group(cls=LazyGroup, lazy=_NOUNS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="elsewhere")
def commands() -> None:
    """Is this child known elsewhere? Asked across agencies without pooling their records."""


def main() -> None:
    """Run what was typed. Ends the process: 0 done, 1 refused or failed, 2 typed wrongly."""
    # gRPC's own lines pass every filter of ours and may name addresses; our errors tell what matters.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        commands(prog_name="elsewhere")
    except ElsewhereError as err:
        click.echo(f"error [{err.code}]: {err}", err=True)
        sys.exit(1)
    except OSError as err:
        # A file that this account may not write, a full disk: for the operator to mend, not a fault of ours.
        named = f": {os.fsdecode(err.filename)}" if isinstance(err.filename, (str, bytes)) else ""
        click.echo(f"error: {err.strerror or type(err).__name__}{named}", err=True)
        sys.exit(1)
