"""The `elsewhere` command: a group that imports a noun's module only when that noun is typed.

Sees:     the arguments; each noun's module does the work.
Refuses:  nothing itself; an error raised on purpose is shown as one line, `error [code]: message`, exit 1.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass

import click

from elsewhere.errors import ElsewhereError


@dataclass(frozen=True, slots=True)
class _Noun:
    """Where a noun's click command stands, and its line in the help, which needs no import."""

    module: str
    attribute: str
    help: str


_NOUNS = {
    "gateway": _Noun(
        "elsewhere.cli.gateway", "gateway", "Set up and run a partnership's gateway; admit agencies."
    ),
    "node": _Noun("elsewhere.cli.node", "node", "Set up and run one agency's node; load its records."),
    "ask": _Noun(
        "elsewhere.cli.ask", "ask", "Ask the other agencies about one child, through your own node."
    ),
    "matchkeys": _Noun("elsewhere.cli.matchkeys", "matchkeys", "Show which match keys a person yields."),
    "audit": _Noun("elsewhere.cli.audit", "audit", "Read the log and check receipts."),
    # The demonstration stands above the commands it runs: named here, never imported by this package.
    "demo": _Noun("elsewhere.demo.command", "demo", "A gateway and four made-up agencies on this machine."),
}


class _LazyGroup(click.Group):
    """A group that knows its commands by name alone until one of them is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the nouns in the order an operator meets them."""
        return list(_NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command of a noun, or None if there is no such noun."""
        noun = _NOUNS.get(cmd_name)
        if noun is None:
            return None
        command = getattr(importlib.import_module(noun.module), noun.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{noun.module}.{noun.attribute} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of nouns without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, noun.help) for name, noun in _NOUNS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="elsewhere")
def commands() -> None:
    """Is this child known elsewhere? Asked across agencies without pooling their records."""


def main() -> None:
    """Run what was typed. Ends the process: 0 done, 1 refused or failed, 2 typed wrongly."""
    try:
        commands(prog_name="elsewhere")
    except ElsewhereError as err:
        click.echo(f"error [{err.code}]: {err}", err=True)
        sys.exit(1)
