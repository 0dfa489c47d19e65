"""README.md followed to the letter: a fifth agency joins a running demonstration, from a CSV we did not make.

The shell blocks run as written, in one shell. Replaced are only the words that README.md says to replace; the
editor that it opens is a script that decides what the suggested mapping asks a person to decide.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from elsewhere.asking import Coverage, State
from elsewhere.demo.processes import program
from elsewhere.sdk.desk import Desk
from tests.architecture.sources import ROOT

README = (ROOT / "README.md").read_text("utf-8")
SECTION = README.partition("## Add your own agency")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
PLACEHOLDERS = ("DEMO_FOLDER", "YOUR_EXPORT.csv", "AGENCY_DIGITS", "STEWARD_DIGITS")
OF_THE_CHILD = {"GIVEN": "Zoë", "FAMILY": "Núñez-Hart", "BORN": "2014-11-03"}
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "PYTHONUNBUFFERED": "1"}

# As a housing system might write it: its own words, semicolons, days first with dots, Windows-1252.
TENANTS = (
    (
        "Tenancy ref",
        "Occupant no",
        "Forename(s)",
        "Surname",
        "Born",
        "Postcode",
        "Tenancy status",
        "Last visit",
    ),
    ("T-0412", "88123", "Zoë", "Núñez-Hart", "03.11.2014", "NX2 3AB", "active", "12.10.2026"),
    ("T-0412", "88124", "Max", "Núñez-Hart", "21.06.2017", "NX2 3AB", "active", "12.10.2026"),
    ("T-0977", "90001", "Callum", "O'Dowd", "15.01.2012", "NX5 9XY", "ended", "02.02.2025"),
    ("T-0993", "90417", "Ama", "Mensah", "29.02.2016", "NX5 1AA", "notice", "30.09.2026"),
)
EDITOR = """\
import os, sys
if sys.argv[1] == "child.json":
    open(sys.argv[1], "w", encoding="utf-8").write(os.environ["CHILD"])
    sys.exit()
text = open(sys.argv[1], encoding="utf-8").read()
for found in ('encoding = "cp1252"', 'delimiter = ";"', 'date_formats = ["%d.%m.%Y"]', 'id = "Occupant no"'):
    assert found in text, found
for found in ('given = "Forename(s)"', 'birth_date = "Born"', 'last_contact = "Last visit"'):
    assert found in text, found
codes = '"active" = "CURRENT", "notice" = "CURRENT", "ended" = "PAST"'
lines = text.splitlines()
at = next(n for n, line in enumerate(lines) if line.startswith("# status = { column"))
lines[at] = lines[at].removeprefix("# ").replace('"?" = "CURRENT"', codes)
open(sys.argv[1], "w", encoding="utf-8").write("\\n".join(lines) + "\\n")
"""


@dataclass(frozen=True)
class Demonstration:
    """What `make demo` runs, with what it printed by the time it waits for Ctrl-C."""

    folder: Path
    printed: str


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    """The demonstration, ended as a newcomer ends it."""
    place = tmp_path_factory.mktemp("demonstration")
    process = subprocess.Popen(
        [*program(), "demo", "run", "--size", "60"],
        env={**ENVIRONMENT, "TMPDIR": str(place)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        printed = "".join(lines)
        named = re.match(r"Four agencies and a gateway in (\S+) ", printed)
        assert named is not None, printed
        yield Demonstration(Path(named[1]), printed)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not Path(named[1]).exists()


@pytest.fixture(scope="module")
def session(demonstration: Demonstration, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What each block printed, the node of step 6 running until the last block stops it."""
    checkout = tmp_path_factory.mktemp("checkout")
    _script(checkout / ".venv" / "bin" / "elsewhere", f'#!/bin/sh\nexec {shlex.join(program())} "$@"\n')
    editor = _script(checkout / "editor", f"#!{sys.executable}\n{EDITOR}")
    (checkout / "tenants.csv").write_bytes(_export())
    words = {
        "DEMO_FOLDER": str(demonstration.folder),
        "YOUR_EXPORT.csv": "tenants.csv",
    }
    child = re.search(r"^```json\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
    assert child is not None
    written = child[1]
    for word, value in OF_THE_CHILD.items():
        written = written.replace(word, value)
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail"],
        cwd=checkout,
        env={**ENVIRONMENT, "EDITOR": str(editor), "CHILD": written},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert shell.stdin is not None
        assert shell.stdout is not None
        printed: list[str] = []
        for block in BLOCKS:
            shell.stdin.write(f"{_filled(block, words)}\necho; echo END\n")
            shell.stdin.flush()
            said = "".join(iter(shell.stdout.readline, "END\n"))
            assert shell.poll() is None, "\n".join([*printed, said])
            printed.append(said)
            for command, word in (("node init", "AGENCY_DIGITS"), ("steward keygen", "STEWARD_DIGITS")):
                if command in block:
                    words[word] = re.findall(r"fingerprint ([\d-]{23})", said)[0]
            if "--node homes" in block:
                _ask_both_ways(demonstration.folder)
        assert shell.communicate("wait\n", timeout=60)[0] == ""
        yield printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def _script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def _export() -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows(TENANTS)
    return text.getvalue().encode("cp1252")


def _filled(block: str, words: dict[str, str]) -> str:
    """The block with the placeholders replaced, and nothing else."""
    pattern = re.compile(r"(?<![\w./-])(" + "|".join(map(re.escape, words)) + r")(?!\w)")
    return pattern.sub(lambda found: shlex.quote(words[found[1]]), block)


def _ask_both_ways(folder: Path) -> None:
    """What the commands showed, in values; and the Python of README.md, as written, while the node runs."""
    with Desk(folder / "social-care") as desk:
        child = {"given": "Zoe", "family": "Nunez Hart", "dob": "03/11/2014"}
        found = desk.ask(**child, purpose="S47_ENQUIRY", urgency="RED")  # type: ignore[arg-type]
    assert found.state_of("homes") is State.KNOWN_CURRENT
    assert found.coverage is Coverage.COMPLETE
    example = re.search(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert example is not None
    ran = subprocess.run(
        [sys.executable, "-c", example[1]],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^Northshire Hospitals KNOWN_CURRENT \w{8}$", ran.stdout, re.MULTILINE)
    second = subprocess.run(
        [*program(), "node", "run", "--dir", "homes"],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (second.returncode, second.stderr.count("\n")) == (1, 1)
    assert second.stderr.startswith("error [node.running]: ")


def test_readme_says_which_words_to_replace_and_uses_no_others() -> None:
    assert len(BLOCKS) == 11
    words = set(re.findall(r"(?<![\w./$-])[A-Z][A-Z_]+(?:\.csv)?(?![\w=])", "".join(BLOCKS)))
    vocabulary = {
        "HOUSING",
        "PATH",
        "PWD",
        "EDITOR",
        "MASH_TRIAGE",
        "AMBER",
        "S47_ENQUIRY",
        "RED",
        "S",
        "H",
        "C",
    }

    assert words - vocabulary == set(PLACEHOLDERS)
    assert all(f"`{word}`" in SECTION for word in (*PLACEHOLDERS, *OF_THE_CHILD))


@pytest.mark.timeout(240)
def test_what_readme_shows_of_the_demonstration_is_what_it_prints(demonstration: Demonstration) -> None:
    shown = README.partition("```text\n")[2].partition("```")[0]
    pattern = re.escape(shown).replace("8K0TN75P", r"\w{8}")

    assert re.search(pattern, demonstration.printed), demonstration.printed


@pytest.mark.timeout(240)
def test_a_fifth_agency_joins_by_the_words_of_readme(session: list[str]) -> None:
    admitted, joined = session[3], session[4]
    assert "admission of homes (Northshire Homes)" in admitted
    assert "not bound" not in admitted
    assert "joined northshire" in joined
    assert "homes: 4 of 4 rows would be loaded" in session[6]
    assert "homes: 4 of 4 rows loaded" in session[6]
    assert session[7].strip().startswith("homes: ready")


@pytest.mark.timeout(240)
def test_social_care_hears_of_a_child_in_the_fifth_agencys_file(session: list[str]) -> None:
    said = session[8]
    assert "KNOWN NOW: Northshire Homes knows this child and works with them now" in said
    assert "0000 000 500" in said
    assert "COMPLETE: 4 of 4 agencies answered." in said


@pytest.mark.timeout(240)
def test_the_fifth_agency_asks_too(session: list[str]) -> None:
    said = session[9]
    assert "KNOWN NOW: Northshire Hospitals" in said
    assert "KNOWN IN THE PAST: Northshire Police" in said
    assert "COMPLETE: 4 of 4 agencies answered." in said


@pytest.mark.timeout(240)
def test_the_fifth_agencys_log_names_agencies_and_codes_and_nobody(
    session: list[str], demonstration: Demonstration
) -> None:
    log = (demonstration.folder / "homes.log").read_text("utf-8")
    events = [json.loads(line)["event"] for line in log.splitlines()]

    assert events[0] == "node.started"
    assert events[-1] == "node.stopped"
    assert "node.ready" in events
    values = {value for row in TENANTS[1:] for value in (*row[:6],)} | {"Ayaan", "Rahman", "jsmith"}
    assert [value for value in values if value in log] == []
    assert not (demonstration.folder / "homes" / "desk.sock").exists()
