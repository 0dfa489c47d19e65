"""`elsewhere research`: enrol as a researcher, see what may be asked, what it costs, and ask.

Sees:     the researcher's passphrase, for as long as one command runs; estimates.
Promises: what a study cost, its interval and what is left of the budget stand with every result. Suppressed,
          failed and refused are three different words, and a command that opens nothing ends with 1.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from elsewhere.cli.paths import FILE

if TYPE_CHECKING:
    from elsewhere.sdk.research import Research

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FOLDER = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default="elsewhere-research",
    envvar="ELSEWHERE_RESEARCH",
    show_default=True,
    help="The researcher's folder.",
)
_PASSPHRASE = click.option(
    "--passphrase-file", type=FILE, help="A file of mode 0600 with the passphrase, instead of being asked."
)
_PROJECT = click.option("--project", default="", help="Its id; not needed with one project only.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else, on stdout.")


def _question(command: _Command) -> _Command:
    """The options that put a question together, and how exactly it is asked."""
    for add in reversed(
        [
            click.argument("table"),
            click.option("--year", type=int, required=True, help="Of the events."),
            click.option("--where", multiple=True, metavar="COLUMN=KEY[,KEY]", help="Only rows with a key."),
            click.option("--by", multiple=True, metavar="COLUMN", help="Count by it; three at most."),
            click.option(
                "--metric",
                default="count",
                show_default=True,
                metavar="WORD[:...]",
                help="count, children:M, sum:COLUMN, mean:COLUMN, histogram:COLUMN:0,10,20, "
                "quantile:COLUMN:0.5 or distribution:K.",
            ),
            click.option("--accuracy", type=float, help="Within so much of the truth, 19 times in 20."),
            click.option("--rho", type=float, help="Or for so much of the budget of every agency."),
            _FOLDER,
            _PROJECT,
            _PASSPHRASE,
            _JSON,
        ]
    ):
        command = add(command)
    return command


@click.group()
def research() -> None:
    """Ask noisy totals over agencies, as a researcher whom a project of the agreement lists."""


@research.command("init", short_help="Make keys, get a certificate, print the request for approval.")
@click.argument("token")
@_FOLDER
@click.option("--passphrase", "asks", is_flag=True, help="Lock the signing key with a passphrase.")
@_PASSPHRASE
def init(token: str, directory: Path, asks: bool, passphrase_file: Path | None) -> None:
    """Enrol with the TOKEN that the gateway's operator handed over: itself, or a file with it.

    May be run again: with the same token if it broke off, with another for another certificate.
    """
    import secrets

    from elsewhere.cli.research_report import show_request
    from elsewhere.sdk.research import utc_now
    from elsewhere.sdk.researcher.enrolling import enrol
    from elsewhere.sdk.researcher.folder import SIGNING_KEY, is_locked

    is_new = not (directory / SIGNING_KEY).exists()
    locked = asks or passphrase_file is not None if is_new else is_locked(directory)
    words = _read_passphrase(passphrase_file, twice=is_new) if locked else ""
    text = _read_token(token)
    about = enrol(directory, text, passphrase=words, now=utc_now(), random=secrets.token_bytes)
    show_request(directory, about)


@research.command("request", short_help="Print the request for approval again.")
@_FOLDER
def request(directory: Path) -> None:
    """Print what the stewards are to put into the agreement, and the fingerprint to read out to them."""
    from elsewhere.cli.research_report import show_request
    from elsewhere.sdk.researcher.folder import read_about

    show_request(directory, read_about(directory))


@research.command("tables", short_help="What may be asked, and which agencies lack it.")
@_FOLDER
@_PROJECT
@_JSON
def tables(directory: Path, project: str, as_json: bool) -> None:
    """List the dictionary's tables: their columns, who holds them, and which agencies lack them."""
    from elsewhere.cli.research_report import show_tables
    from elsewhere.sdk.research import Research

    show_tables(Research(directory, project=project).tables(), as_json=as_json)


@research.command("budget", short_help="What is left, at every agency.")
@_FOLDER
@_PROJECT
@_PASSPHRASE
@_JSON
def budget(directory: Path, project: str, passphrase_file: Path | None, as_json: bool) -> None:
    """Ask every agency what is left of the budget. Costs nothing."""
    from elsewhere.cli.research_report import show_budget

    show_budget(_research(directory, project, passphrase_file).budget(), as_json=as_json)


@research.command("preview", short_help="What a study would cost, and how exact it would be.")
@_question
def preview(directory: Path, project: str, passphrase_file: Path | None, as_json: bool, **asked: Any) -> None:
    """Say what a study would cost and how exact it would be. Costs nothing."""
    from elsewhere.cli.research_report import show_preview

    terms = _terms(asked)
    study = _research(directory, project, passphrase_file).ask(_question_of(asked))
    show_preview(study.preview(**terms), as_json=as_json)


@research.command("query", short_help="Ask, and pay.")
@_question
@click.option("--accept-missing", is_flag=True, help="Go on without agencies that refuse or are away.")
def query(
    directory: Path,
    project: str,
    passphrase_file: Path | None,
    as_json: bool,
    accept_missing: bool,
    **asked: Any,
) -> None:
    """Ask all agencies of the project, and show the total they add up to. It is charged to the budget."""
    import sys

    from elsewhere.cli.research_report import show_change, show_end
    from elsewhere.sdk.researcher.ends import Opened

    terms = _terms(asked)
    study = _research(directory, project, passphrase_file).ask(_question_of(asked))
    end = study.run(**terms, accept_missing=accept_missing, tell=show_change)
    show_end(end, as_json=as_json)
    sys.exit(0 if isinstance(end, Opened) else 1)


@research.command("resume", short_help="Take up again a study that did not end.")
@click.argument("query_id", default="")
@_FOLDER
@_PROJECT
@_PASSPHRASE
@_JSON
def resume(query_id: str, directory: Path, project: str, passphrase_file: Path | None, as_json: bool) -> None:
    """Send a study again that failed or broke off, within half an hour of asking. It is charged once.

    QUERY_ID: its first digits; not needed with one such study only.
    """
    import sys

    from elsewhere.cli.research_report import show_change, show_end
    from elsewhere.sdk.researcher.ends import Opened

    end = _research(directory, project, passphrase_file).resume(query_id, show_change)
    show_end(end, as_json=as_json)
    sys.exit(0 if isinstance(end, Opened) else 1)


@research.command("readd", short_help="Add the shares of a kept study again.")
@click.argument("file", type=FILE)
@_FOLDER
@_JSON
def readd(file: Path, directory: Path, as_json: bool) -> None:
    """Verify every signed document of a kept study from the anchor on, and add its shares again."""
    from elsewhere.cli.research_report import show_end
    from elsewhere.sdk.research import readd as again

    show_end(again(directory, file), as_json=as_json)


def _research(directory: Path, project: str, passphrase_file: Path | None) -> Research:
    """Open the folder, and ask for the passphrase where there is one."""
    from elsewhere.sdk.research import Research
    from elsewhere.sdk.researcher.folder import is_locked, read_about

    read_about(directory)
    words = _read_passphrase(passphrase_file) if is_locked(directory) else ""
    return Research(directory, project=project, passphrase=words)


def _terms(asked: dict[str, Any]) -> dict[str, float | None]:
    """How exactly: one of the two options."""
    terms = {name: asked.pop(name) for name in ("accuracy", "rho")}
    given = [value for value in terms.values() if value is not None]
    if len(given) != 1 or not 0 < given[0] < 1e9:
        raise click.UsageError("expected --accuracy or --rho, above 0")
    return terms


def _question_of(asked: dict[str, Any]) -> Any:
    """The question that was typed."""
    from elsewhere.research.builder import Draft

    draft = Draft(asked["table"], asked["year"]).group_by(*asked["by"])
    for one in asked["where"]:
        column, _, keys = one.partition("=")
        draft = draft.where(**{column: keys.split(",")})
    word, *rest = asked["metric"].split(":")
    try:
        return _METRICS[word](draft, *rest)
    except (KeyError, TypeError, ValueError):
        raise click.BadParameter(
            "expected one of the forms that --help lists", param_hint="--metric"
        ) from None


_METRICS: dict[str, Callable[..., Any]] = {
    "count": lambda draft: draft.count(),
    "children": lambda draft, most="1": draft.children(int(most)),
    "sum": lambda draft, column: draft.sum(column),
    "mean": lambda draft, column: draft.mean(column),
    "histogram": lambda draft, column, edges: draft.histogram(column, [int(e) for e in edges.split(",")]),
    "quantile": lambda draft, column, qs: draft.quantile(column, [float(q) for q in qs.split(",")]),
    "distribution": lambda draft, most: draft.distribution(int(most)),
}


def _read_token(word: str) -> str:
    """A token as it was typed, or out of a file."""
    from elsewhere.invitation import RESEARCH_PREFIX

    path = Path(word[:255])
    return word if word.startswith(RESEARCH_PREFIX) or not path.is_file() else path.read_text("utf-8")


def _read_passphrase(file: Path | None, *, twice: bool = False) -> str:
    """The passphrase: out of a file that others cannot read, or typed."""
    from elsewhere.keyfiles import read_secret

    if file is not None:
        return read_secret(file).decode("utf-8", "replace").strip("\r\n")
    return str(click.prompt("passphrase", hide_input=True, confirmation_prompt=twice, err=True))
