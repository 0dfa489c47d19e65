"""`elsewhere agreement`: write, check, compare, show and try out a sharing agreement.

Sees:     agreements, and the policy table of nodes' settings; no person and no record.
Promises: works on files alone, without a node or a gateway; only `show --dir` reads a node's folder.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elsewhere.cli.agreement_export import export
from elsewhere.cli.agreement_options import AS_JSON, AT, Moment, moment_or_now, read
from elsewhere.cli.agreement_render import diff, render
from elsewhere.cli.agreement_simulate import simulate
from elsewhere.cli.paths import FILE, FOLDER, OutFile
from elsewhere.cli.words import describe_time, printable

if TYPE_CHECKING:
    from elsewhere.agreement.terms import Agreement, Party

_FIELDS = "ID; SECTOR; NAME; IN HOURS; OUT OF HOURS"
_YEAR = timedelta(days=365)
_REVIEW_AFTER = timedelta(days=275)


@click.group(commands=[diff, simulate, render, export])
def agreement() -> None:
    """Write, check, compare and try out a sharing agreement."""


@agreement.command("new", short_help="Write a starting agreement to edit.")
@click.option("--id", "id", required=True, help="Short name, such as northshire.")
@click.option("--title", required=True, help="What people call it.")
@click.option(
    "--party", "parties", multiple=True, required=True, metavar=f'"{_FIELDS}"', help="Twice or more."
)
@click.option("--from", "begins", type=Moment(), help="First moment in force. By default today, 00:00 UTC.")
@click.option("--until", "ends", type=Moment(), help="First moment after it. By default a year later.")
@click.option("--review", type=Moment(), help="When the parties look at it again. By default 90 days before.")
@click.option("--out", type=OutFile(), required=True, help="Where to write it; must not be there yet.")
def new(out: Path, parties: tuple[str, ...], **given: Any) -> None:
    """Write a starting agreement whose rules speak of sectors. Read all of it; a lawyer checks it before use.

    \b
    Example of a party:
      --party "police; POLICE; Northshire Police; 01632 960003; 01632 960004"
    """
    from elsewhere.agreement.document import agreement_from_toml
    from elsewhere.agreement.template import starting_agreement
    from elsewhere.agreement.terms import Validity

    begins = given["begins"] or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = given["ends"] or begins + _YEAR
    review = given["review"] or max(begins + (ends - begins) / 2, begins + _REVIEW_AFTER)
    validity = Validity(begins, ends, min(review, ends).replace(microsecond=0))
    text = starting_agreement(
        id=given["id"], title=given["title"], validity=validity, parties=[_party(one) for one in parties]
    )
    agreement_from_toml(text)  # refuses what the template cannot hold, such as two parties of one id
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.BadParameter("there is such a file; it is not overwritten", param_hint="--out") from None
    click.echo(f"wrote {out}; next: edit it, then 'elsewhere agreement lint {out}'")


@agreement.command("lint", short_help="Name every fault with its line, and what to look at.")
@click.argument("file", type=FILE)
@AT
@AS_JSON
@click.option("--strict", is_flag=True, help="End with 1 for remarks too, not for faults only.")
def lint(file: Path, at: datetime | None, as_json: bool, strict: bool) -> None:
    """Name what keeps FILE from being read, with its line; then what its writers may not have meant.

    Ends with 0 when it reads, 1 when it does not.
    """
    from elsewhere.agreement.lint import find_warnings
    from elsewhere.agreement.reading import find_reading_faults, read_agreement

    data = file.read_bytes()
    faults = find_reading_faults(data)
    if faults:
        told = [{"code": e.code, "key": e.key, "message": e.reason, "line": e.line} for e in faults]
        texts = [f"{file}:{e.line or 1}: fault: {e.key}: {e.reason}" for e in faults]
        click.echo(json.dumps({"faults": told, "remarks": []}) if as_json else "\n".join(texts))
        sys.exit(1)
    found, text = read_agreement(data)
    remarks = find_warnings(found, moment_or_now(at), text)
    if as_json:
        click.echo(json.dumps({"faults": [], "remarks": [remark.to_json() for remark in remarks]}))
    else:
        for remark in remarks:
            where = f"{file}:{remark.line}" if remark.line else str(file)
            click.echo(printable(f"{where}: {remark.message} [{remark.code}]"))
        click.echo(f"{file} reads; {len(found.rules)} rules, {len(remarks)} remarks")
    sys.exit(1 if strict and remarks else 0)


@agreement.command("show", short_help="Show what is agreed, and what of it is in force.")
@click.argument("file", type=FILE, required=False)
@click.option("--dir", "directory", type=FOLDER, help="A node's folder: show what it holds, verified.")
@AT
@AS_JSON
def show(file: Path | None, directory: Path | None, at: datetime | None, as_json: bool) -> None:
    """Show the agreement of FILE, or the one that a node holds: parties, dates, rules, what is in force."""
    if (file is None) == (directory is None):
        raise click.UsageError("expected FILE or --dir, one of them")
    now = moment_or_now(at)
    found = _held(directory) if directory is not None else read(Path(str(file)))
    state = _state(found, now)
    if as_json:
        shown = {"state": state, "digest": found.digest.hex(), "agreement": found.to_json()}
        if directory is not None:
            shown["bound"] = [p.agency_id for p in found.parties if p.agency_id in found.signed_by]
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    for line in _lines(found, state, now):
        click.echo(printable(line))
    unbound = [party.name for party in found.parties if party.agency_id not in found.signed_by]
    if directory is not None and unbound:
        click.echo(printable(f"not bound, as their stewards have not signed it: {', '.join(unbound)}"))


def _held(directory: Path) -> Agreement:
    """What a node holds, its signatures verified again."""
    from elsewhere.errors import NotAdmitted
    from node.config import load_config
    from node.membership.trust import Trust

    found = Trust.load(directory, load_config(directory).agency).agreement
    if found is None:
        raise NotAdmitted("this node holds no agreement yet; start it, and it fetches the one in force")
    return found


def _state(found: Agreement, now: datetime) -> str:
    """One word for the dates."""
    if now < found.validity.valid_from:
        return "not yet"
    return "ended" if now >= found.validity.valid_until else "in force"


def _lines(found: Agreement, state: str, now: datetime) -> list[str]:
    """The whole agreement in short, a line for each thing."""
    validity = found.validity
    lines = [
        f"{found.title}: agreement {found.id} version {found.version}, {state} by its dates",
        f"  from {describe_time(validity.valid_from)} until {describe_time(validity.valid_until)},"
        f" looked at again by {describe_time(validity.review_by)}",
        f"  digest {found.digest.hex()}",
        "parties",
    ]
    for party in found.parties:
        contacts = f"{party.duty_contact_in_hours}; out of hours {party.duty_contact_out_of_hours}"
        lines.append(f"  {party.agency_id:<16}  {party.sector:<13}  {party.name}: {contacts}")
    lines.append("rules in force" if state == "in force" else "rules")
    for rule in found.rules:
        is_on = (rule.valid_from or now) <= now and (rule.valid_until is None or now < rule.valid_until)
        tier = "" if rule.effect.value == "DENY" else rule.tier.name
        off = "" if is_on else " (not in force now)"
        lines.append(f"  {rule.id:<8}  {rule.effect.value:<6}  {tier:<2}  {rule.words}{off}")
    if found.research is not None:
        lines.append("research projects")
        for project in found.research.projects:
            people, tables = ", ".join(project.people), ", ".join(project.tables)
            lines.append(f"  {project.id:<16}  {project.state:<6}  {project.title}: {people}; {tables}")
    return lines


def _party(text: str) -> Party:
    """Read one party as it was typed."""
    from elsewhere.agreement.terms import Party

    parts = [part.strip() for part in text.split(";")]
    if len(parts) != 5:
        raise click.BadParameter(f'expected "{_FIELDS}", got {len(parts)} parts', param_hint="--party")
    agency, sector, name, in_hours, out_of_hours = parts
    return Party(agency, name, sector, in_hours, out_of_hours)
