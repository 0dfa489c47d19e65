"""`elsewhere audit draw` and `open`: which questions an auditor opens, and whether each was about one child.

Sees:     at `open`, the children that drawn questions were about; it is run where they were asked.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elsewhere.cli.audit_options import FOLDER, JSON, read_roster
from elsewhere.cli.words import describe_time, printable
from elsewhere.clock import from_ms
from elsewhere.keyfiles import replace_file
from elsewhere.transparency.witnesses import witnesses_of

if TYPE_CHECKING:
    from node.auditing.opening import Opened


@click.command("draw", short_help="Hand out what draws another agency's questions to be opened.")
@click.argument("agency")
@FOLDER
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
def draw(agency: str, directory: Path, out: Path) -> None:
    """Write down what this agency, as a witness, has signed of AGENCY's log.

    Those signatures draw one question in fifty. Take the file of each witness to AGENCY and run 'elsewhere
    audit open' there.
    """
    from node.auditing.drawing import read_signed
    from node.config import load_config
    from node.keys.ring import KeyRing
    from node.owning import open_own

    config, key = load_config(directory), KeyRing.load(directory).signing
    with open_own(config) as store, store.read() as connection:
        found = read_signed(connection, agency, (config.agency, key), datetime.now(UTC))
    if not found.notes:
        raise click.ClickException(
            f"nothing signed of the log of {printable(agency)}: this agency is no witness of it"
        )
    replace_file(out, found.to_bytes())
    click.echo(f"{len(found.notes)} checkpoints of the log of {agency}, written to {out}")


@click.command("open", short_help="Open the questions that were drawn: was each about one child?")
@click.option(
    "--draw",
    "draws",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    required=True,
    help="File of a witness, from 'elsewhere audit draw'. Give those of both.",
)
@click.option("--auditor", required=True, help="Who opens them, for the log.")
@FOLDER
@JSON
def open_(draws: tuple[Path, ...], auditor: str, directory: Path, as_json: bool) -> None:
    """Open the questions that this agency asked and that were drawn, on this agency's premises.

    Shows whom each was about, and says so in the log. Ends with 0 when each that can be opened was about one
    child, and with 1 when one was about something else or cannot be opened though it is not too old, when one
    was drawn of a log before this one and is lost, and when the draw of one of this agency's witnesses is not
    among those given.
    """
    from node.asking.history import History
    from node.auditing.drawing import DrawFile, open_draw, who_is_missing
    from node.auditing.opening import log_opening, open_picked
    from node.auditing.picking import pick
    from node.config import load_config
    from node.keys.ring import KeyRing
    from node.keys.vault import Vault
    from node.owning import open_own

    config, roster, now = load_config(directory), read_roster(directory / "trust"), datetime.now(UTC)
    files = [DrawFile.from_bytes(path.read_bytes()) for path in draws]
    found = [open_draw(file, roster, config.agency, now) for file in files]
    missing = who_is_missing(found, roster, config.agency)
    history = History(Vault(KeyRing.load(directory).local), _draw_nothing)
    with open_own(config) as store:
        with store.read() as connection:
            picked = pick(connection, found, max(1, len(witnesses_of(roster, config.agency))))
            opened = list(open_picked(connection, picked, history, roster, now))
        with store.write() as connection:
            log_opening(connection, opened, auditor, found, now)
    if as_json:
        click.echo(json.dumps({"opened": [_to_json(one) for one in opened]}))
    else:
        click.echo(_describe(opened))
    if missing:
        click.echo(f"expected the draw of each witness; there is none of {', '.join(missing)}", err=True)
    sys.exit(1 if missing or any(one.is_fault for one in opened) else 0)


def _draw_nothing(_: int) -> bytes:
    raise AssertionError("opening draws nothing")


def _to_json(one: Opened) -> dict[str, Any]:
    person = json.loads(one.person.canonical()) if one.person is not None else None
    proven = list(one.proven_by)
    return {
        "entry": one.place + 1,
        "outcome": one.outcome,
        "said": dict(one.said),
        "child": person,
        "proven_by": proven,
    }


def _describe(opened: list[Opened]) -> str:
    """A table a question, then how many came to what."""
    lines = []
    for one in opened:
        said = one.said
        lines.append(f"entry {one.place + 1}: {_WORDS[one.outcome]}")
        if one.outcome == "lost":
            lines.append(f"  was in        {printable(str(said['log']))}")
            continue
        lines.append(f"  asked         {describe_time(from_ms(int(said['time_ms'])))}")
        for name in ("asker", "case_reference", "purpose"):
            lines.append(f"  {name:<14}{printable(str(said.get(name, '')))}")
        if one.person is not None:
            lines.append(f"  child         {printable(_name(one))}")
        if one.proven_by:
            lines.append(f"  proven by     {', '.join(one.proven_by)}")
    counted = Counter(one.outcome for one in opened)
    total = ", ".join(f"{number} {name}" for name, number in sorted(counted.items())) or "none"
    return "\n".join([*lines, f"{len(opened)} questions were drawn: {total}"])


def _name(one: Opened) -> str:
    """Names and date of birth, as they were asked."""
    found = json.loads(one.person.canonical()) if one.person is not None else {}
    names = [" ".join([*name["given"], name["family"]]) for name in found.get("names", [])]
    born = (found.get("birth_date") or {}).get("date") or "no date of birth"
    return f"{' / '.join(names) or 'no name'}, {born}"


_WORDS = {
    "one_child": "about this child, and no other",
    "unproven": "opens, but no custodian's receipt says what was asked: ask the custodians",
    "missing": "CANNOT BE OPENED OR PROVEN: what opens it, or a receipt of who answered, is gone",
    "too_old": "too old to be opened",
    "lost": "LOST: it was drawn of a log that this agency has not shown since it began another",
    "otherwise": "ASKED ABOUT SOMETHING ELSE than was opened",
}
