"""docs/operations.md followed to the letter: a partnership from its founding to a member that leaves.

The shell blocks run as written, in one shell. Replaced are only the words that the page says to replace; the
police show their log more often than by default, so that nobody waits half a minute for it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from elsewhere.demo.processes import program
from tests.architecture.sources import ROOT

PAGE = (ROOT / "docs/operations.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
FINGERPRINT = re.compile(r"\d{5}(?:-\d{5}){3}")
HEARD = {  # by the word: whose fingerprint it is, in what is printed
    "POLICE_STEWARD": "Steward of police",
    "SOCIAL_STEWARD": "Steward of social",
    "BOARD_STEWARD": "Steward of board",
    "SUCCESSOR": "Second steward of board",
    "POLICE_AGENCY": "keys are in police/keys",
    "SOCIAL_AGENCY": "keys are in social/keys",
    "POLICE_NEXT_KEY": "read the stewards this fingerprint",
}
EXPORT = "id,given,family,dob,postcode\n1,Zofia,Hart,2015-03-02,AB1 2CD\n"
MAPPING = """\
[source]
name = "cases"
max_age_days = 7
date_formats = ["%Y-%m-%d"]

[source.csv]
encoding = "utf-8"
delimiter = ","

[person]
id = "id"
given = "given"
family = "family"
birth_date = "dob"
postcode = "postcode"

[record]
status = { always = "CURRENT" }
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each section printed, one after the other."""
    place = tmp_path_factory.mktemp("operations")
    command = place / "bin" / "elsewhere"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.join(program())} "$@"\n')
    command.chmod(0o755)
    for agency, text in (("cases", EXPORT), ("social", EXPORT.replace("Zofia,Hart", "Kai,Okonkwo"))):
        (place / f"{agency}.csv").write_text(text)
    for agency in ("police", "social"):
        (place / f"{agency}.toml").write_text(MAPPING)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail"],
        cwd=place,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    words, printed = {"GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}"}, dict[str, str]()
    try:
        for section, text in SECTIONS.items():
            printed[section] = "".join(run(shell, block, words) for block in blocks_of(text))
            if section == "Joining":
                with (place / "police" / "node.toml").open("a") as settings:
                    settings.write("\n[log]\nshow_s = 0.2\n")
        assert shell.communicate("exit\n", timeout=60)[0] == ""
        yield printed
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def blocks_of(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(shell: subprocess.Popen[str], block: str, words: dict[str, str]) -> str:
    """Run one block to its end; note the fingerprints that it tells."""
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, words)) + r")\b")
    filled = pattern.sub(lambda found: words[found[1]], block)
    assert shell.stdin is not None
    assert shell.stdout is not None
    shell.stdin.write(f"{filled}\necho; echo END\n")
    shell.stdin.flush()
    said = ""
    while not said.endswith("END\n"):
        line = shell.stdout.readline()
        assert line, f"the shell ended:\n{filled}\n{said}"
        said += line
    for line in said.splitlines():
        for word, whose in HEARD.items():
            found = FINGERPRINT.search(line)
            if whose in line and found is not None:
                words.setdefault(word, found[0])
    return said


def test_every_procedure_that_operators_need_is_there() -> None:
    titles = ["Founding", "Joining", "Approving", "Changing the agreement", "Changing keys"]
    assert list(SECTIONS) == [
        *titles,
        "Stopping a member",
        "Losing a steward's key",
        "Restoring from a backup",
        "Leaving",
    ]
    assert all(blocks_of(text) for text in SECTIONS.values())


@pytest.mark.timeout(300)
def test_the_page_is_followed_from_its_beginning_to_its_end(followed: dict[str, str]) -> None:
    assert "in force: roster 1" in followed["Founding"]
    assert followed["Joining"].count("requested") == 2
    assert followed["Approving"].count("active, a member") == 2
    assert "police: ready" in followed["Approving"]
    assert "burst" in followed["Changing the agreement"]
    assert "made a new TLS key" in followed["Changing keys"]
    assert "sound: " in followed["Changing keys"]
    assert "social: running, not ready yet" in followed["Stopping a member"]
    assert "in force: roster 8" in followed["Losing a steward's key"]
    assert "KNOWN" in followed["Restoring from a backup"]
    assert "sound: " in followed["Restoring from a backup"]
    assert "2 entries can be connected with this child no more" in followed["Restoring from a backup"]
    assert "0 questions met this record" in followed["Restoring from a backup"]
    assert "entries written to social-log.jsonl" in followed["Leaving"]
