"""The wire contract: every field is explained, and the committed code is what the contract gives."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

PROTOS = sorted((ROOT / "proto").rglob("*.proto"))
FIELD = re.compile(r"^\s*(?:optional |repeated )?[\w.]+ (\w+) = \d+;(.*)$")
# A field inside a `oneof` is a message, explained where it is defined.
ONEOF = re.compile(r"^\s*oneof \w+ \{$")


def _unexplained(proto: Path) -> list[str]:
    """Return the fields of a contract file that no comment explains, on their line or just above."""
    missing, inside_oneof, above = [], False, ""
    for line in proto.read_text("utf-8").splitlines():
        if ONEOF.match(line):
            inside_oneof = True
        elif line.strip() == "}":
            inside_oneof = False
        field = FIELD.match(line)
        if field and "//" not in field.group(2) and not above.startswith("//") and not inside_oneof:
            missing.append(field.group(1))
        above = line.strip()
    return missing


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.name)
def test_every_field_is_explained(proto: Path) -> None:
    assert _unexplained(proto) == []


def test_generated_code_is_what_the_contract_gives() -> None:
    run = subprocess.run(
        [sys.executable, "tools/generate_wire.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr


@pytest.mark.needs("buf")
def test_the_contract_keeps_its_style() -> None:
    buf = ROOT / ".tools/node_modules/.bin/buf"
    run = subprocess.run([buf, "lint"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout
