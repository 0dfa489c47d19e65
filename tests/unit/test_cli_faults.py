"""What goes wrong at a newcomer's keyboard: one line that says what to do, never a traceback."""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.cli import main
from elsewhere.cli.lazy import LazyGroup
from gateway.enrolment import Founding
from tests import partnership

WHO = ("--name", "Northshire Homes", "--in-hours", "0000 000 500", "--out-of-hours", "0000 000 509")
Typed = Callable[[str], tuple[int, str]]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    """Type a line of words in an empty folder; gives the exit code and what came on standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ELSEWHERE_NODE", raising=False)

    def type_(line: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["elsewhere", *line.split()])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main.main()
        return int(end.value.code or 0), capfd.readouterr().err

    return type_


def _node(typed: Typed, *, admitted: bool) -> None:
    """A node in `here`, and a gateway in `gw`."""
    founding = Founding("northshire", "127.0.0.1:7443")
    partnership.init(Path("gw"), founding, now=datetime.now(UTC), random=secrets.token_bytes)
    for agency in ("here", "there"):
        who = "--sector HOUSING --name N --in-hours 1 --out-of-hours 2"
        assert typed(f"node init --dir {agency} --agency {agency} --out {agency}.json {who}")[0] == 0
        if admitted:
            request = Path(f"{agency}.json").read_bytes()
            admission = partnership.admit(Path("gw"), request, now=datetime.now(UTC))
            Path("admission.json").write_bytes(admission.to_bytes())
            assert typed(f"node accept admission.json --dir {agency}")[0] == 0


@pytest.mark.parametrize(
    "line",
    [
        *("node run --dir nowhere", "node status --dir nowhere", "gateway run --dir nowhere"),
        *("gateway propose --dir nowhere --out p", "gateway enact p s --dir nowhere"),
        *("ask --node nowhere --given A --purpose S47_ENQUIRY --urgency RED", "audit show A --dir nowhere"),
        *("node load a.csv --mapping a.csv --dir .", "node mapping suggest a.csv"),
        "node accept admission.json --dir .",
    ],
)
def test_a_folder_or_file_that_is_not_there_is_named(typed: Typed, line: str) -> None:
    code, said = typed(line)

    assert code == 2
    assert re.search(r"'(nowhere|a.csv|admission.json)' does not exist", said)


@pytest.mark.parametrize(
    "line", ["node run --dir .", "gateway run --dir .", "gateway propose --dir . --out p"]
)
def test_a_folder_of_something_else_leads_to_init(typed: Typed, line: str) -> None:
    code, said = typed(line)

    assert code == 1
    assert re.fullmatch(r"error \[config\.invalid\]: .*run 'elsewhere (node|gateway) init' first\n", said)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (f"node init --dir n --agency {'Bad'} --sector HOUSING --out r.json", "--agency"),
        (
            "node init --dir n --agency homes --sector LANDLORD --out r.json",
            "--sector: expected one of SOCIAL",
        ),
        ("node init --dir n --agency homes --sector HOUSING --out no/r.json", "folder no does not exist"),
        ("gateway init --dir n --out p --federation 1 --listen 127.0.0.1:1", "--federation"),
        ("gateway init --dir n --out p --federation fed --listen here", "--listen: expected HOST:PORT"),
        ("gateway init --dir n --out p --federation fed --listen 127.0.0.1:99999", "--listen: expected"),
        ("gateway init --dir n --out p --federation fed --listen 127.0.0.1:9", "--steward: expected 2 to"),
    ],
)
def test_what_was_typed_wrongly_is_named_by_its_option_and_nothing_is_made(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, hint: str
) -> None:
    words = [*line.split(), *(WHO if line.startswith("node") else ())]
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main.commands, words)

    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert hint in result.output


def test_a_node_that_was_not_admitted_says_what_comes_first(typed: Typed) -> None:
    _node(typed, admitted=False)

    assert typed("node run --dir here") == (
        1,
        "error [node.not_admitted]: expected an admission; run 'elsewhere node accept ADMISSION' first\n",
    )


def test_asking_while_the_node_is_down_says_how_to_start_it(typed: Typed) -> None:
    _node(typed, admitted=True)

    code, said = typed("ask --node here --given A --purpose MASH_TRIAGE --urgency RED")

    assert code == 1
    assert re.fullmatch(r"error \[desk\.unreachable\]: .*'elsewhere node run --dir DIR'\n", said)


def test_a_key_that_others_can_read_keeps_the_node_from_starting(typed: Typed, tmp_path: Path) -> None:
    _node(typed, admitted=True)
    (tmp_path / "here" / "keys" / "signing.key").chmod(0o644)

    code, said = typed("node run --dir here")

    assert code == 1
    assert re.fullmatch(r"error \[key\.exposed\]: expected signing\.key with mode 0600 .*0644\n", said)


def test_a_store_of_another_version_keeps_the_node_from_starting(typed: Typed, tmp_path: Path) -> None:
    _node(typed, admitted=True)
    (tmp_path / "a.csv").write_text("id,given\n1,Ann\n")
    (tmp_path / "a.toml").write_text(
        '[source]\nname = "a"\nmax_age_days = 7\ndate_formats = ["%d/%m/%Y"]\n'
        '[source.csv]\nencoding = "utf-8"\ndelimiter = ","\n[person]\nid = "id"\ngiven = "given"\n'
        '[record]\nstatus = { always = "CURRENT" }\n'
    )
    assert typed("node load a.csv --mapping a.toml --dir here")[0] == 0
    store = sqlite3.connect(tmp_path / "here" / "store.sqlite")
    store.execute("update alembic_version set version_num = '9999'")
    store.commit()
    store.close()

    code, said = typed("node run --dir here")

    assert code == 1
    assert re.fullmatch(r"error \[store\.version\]: .*this one has version 9999: .*\n", said)


def test_a_mapping_as_suggested_names_the_first_key_to_decide(typed: Typed, tmp_path: Path) -> None:
    _node(typed, admitted=True)
    (tmp_path / "a.csv").write_text("Occupier;Surname\n7;Lee\n8;Lea\n")
    assert typed("node mapping suggest a.csv --out a.toml")[0] == 0

    code, said = typed("node load a.csv --mapping a.toml --dir here --dry-run")

    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("error [mapping.invalid]: mapping, ")


def test_a_member_that_is_none_is_told_with_those_who_are(typed: Typed) -> None:
    _node(typed, admitted=True)

    code, said = typed("gateway propose --state nobody=suspended --dir gw --out p")

    assert code == 1
    assert said.endswith("expected the id of a member (here, there); 'nobody' is none\n")


def test_an_error_of_the_operating_system_is_one_line(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "request.json")

    monkeypatch.setattr("elsewhere.keyfiles.replace_file", full)
    shutil.rmtree(tmp_path / "n", ignore_errors=True)

    code, said = typed(
        "node init --dir n --agency nn --sector GP --name N --in-hours 1 --out-of-hours 2 --out r"
    )

    assert (code, said) == (1, "error: No space left on device: request.json\n")


def _all_commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            found = group.get_command(context, name)
            assert found is not None
            yield from _all_commands(found, (*path, name))


@pytest.mark.parametrize("path", list(_all_commands(main.commands)), ids=" ".join)
def test_help_fits_a_terminal_and_breaks_off_nowhere(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main.commands, [*path, "--help"], terminal_width=80)

    assert result.exit_code == 0
    assert [line for line in result.output.splitlines() if len(line) > 80] == []
    assert [
        line for line in result.output.partition("Commands:")[2].splitlines() if line.endswith("...")
    ] == []


def test_every_option_is_explained() -> None:
    for path in _all_commands(main.commands):
        command: click.Command = main.commands
        for name in path:
            assert isinstance(command, (click.Group, LazyGroup))
            found = command.get_command(click.Context(command), name)
            assert found is not None
            command = found
        silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
        assert silent == [], path


def test_help_lists_every_sector() -> None:
    help_text = CliRunner().invoke(main.commands, ["node", "init", "--help"]).output

    assert set(vocabulary().sectors) <= set(re.findall(r"[A-Z_]+", help_text))
