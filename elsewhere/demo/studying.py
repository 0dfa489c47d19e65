"""The demonstration's researcher: comes in with a token, is put into the agreement, asks one total.

Holds:    the researcher's key, in the demonstration's own folder.
"""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape

from elsewhere.demo.partnership import heard_in
from elsewhere.demo.processes import CommandFailed, Workbench, program
from elsewhere.demo.tables import agreement_part, table_mapping

RESEARCHER: Final = "ana"
ATTEMPTS: Final = 5
# A node takes part once a witness has signed its log; nobody waits 20 seconds for that in a demonstration.
_WATCHING: Final = "\n[log]\nwatch_s = 1.0\n"
_TOKEN: Final = "ana.token"  # noqa: S105 - a file's name


def enrol_researcher(bench: Workbench, console: Console) -> dict[str, str]:
    """Invite a researcher, have her enrol, and put her request into the agreement's text.

    Returns: the fingerprint that she reads to the stewards, under her id.
    """
    who = ("--researcher", RESEARCHER, "--name", "Ana Okafor", "--organisation", "University of Northshire")
    token = bench.run("gateway", "invite", "--dir", "gw", *who)
    (bench.folder / _TOKEN).touch(0o600)
    (bench.folder / _TOKEN).write_text(token)
    said = bench.run("research", "init", _TOKEN, "--dir", RESEARCHER)
    entry = said[said.index("[[research.researchers]]") :].partition("\n\n")[0]
    console.print("[dim]# gw/agreement.toml: who holds which table, one project, and her request[/dim]")
    with (bench.folder / "gw" / "agreement.toml").open("a", encoding="utf-8") as text:
        text.write(agreement_part(f"{entry}\n", datetime.date.today()))
    return {RESEARCHER: heard_in(said)}


def map_tables(bench: Workbench, console: Console, agencies: Sequence[str]) -> None:
    """Put into each node's settings where its tables are."""
    console.print(
        "[dim]# AGENCY/node.toml: where its own tables are, and how often it looks at others' logs[/dim]"
    )
    for agency in agencies:
        with (bench.folder / agency / "node.toml").open("a", encoding="utf-8") as text:
            text.write(f"\n{table_mapping(agency)}{_WATCHING}")


def ask_total(bench: Workbench, console: Console, *, as_json: bool) -> None:
    """Ask how many referrals ended without action; a node that just started may refuse, at no charge."""
    console.print("\n[bold]A researcher asks: how many referrals ended with no further action?[/bold]")
    sys.stdout.flush()
    words = ("research", "query", *_question(), "--dir", RESEARCHER)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            said = bench.run(*words, *(["--json"] if as_json else []), shown=not as_json)
            break
        except CommandFailed:
            if attempt == ATTEMPTS:
                raise
    if as_json:
        sys.stdout.write(json.dumps(json.loads(said), ensure_ascii=False) + "\n")
        sys.stdout.flush()


def say_how_to_ask(console: Console, bench: Workbench) -> None:
    """Say which command asks for further totals."""
    typed = shlex.join(
        [*program(), "research", "preview", *_question(), "--dir", str(bench.folder / RESEARCHER)]
    )
    console.print("And to ask for other totals (what each costs is told first):")
    console.print(f"  {escape(typed)}")
    console.print(f"Or ask five at once: python examples/five_questions.py {bench.folder}")


def _question() -> tuple[str, ...]:
    year = str(datetime.date.today().year - 1)
    return "referral", "--year", year, "--by", "nfa", "--accuracy", "25"
