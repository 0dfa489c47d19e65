"""docs/caseload.md says what the code does: its mapping is read, and its codes are the ones there are."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from node.caseload.csv_source import MAX_FIELD, MAX_LINE
from node.caseload.mapping import FLAG_CODES, PersonColumns, RecordColumns, UnbornColumns, parse_mapping

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/caseload.md").read_text("utf-8")
SOURCES = [(ROOT / "node/caseload" / f"{name}.py").read_text("utf-8") for name in ("rows", "reading", "load")]
CODE = (
    r"(?:row|person|status|shield|record|birth_date|nhs_number|upn|given|family|postcode|last_contact|flag)"
)


def test_the_mapping_in_the_document_is_a_mapping_with_every_field() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)

    found = parse_mapping(tomllib.loads(block))

    for section in (found.person, found.unborn, found.record):
        # A whole name stands in the place of its parts, which this mapping has.
        assert [name for name, value in section if value is None] in ([], ["name"])


def test_every_field_and_flag_is_described() -> None:
    fields = [*PersonColumns.model_fields, *UnbornColumns.model_fields, *RecordColumns.model_fields]

    assert [name for name in (*fields, *FLAG_CODES) if name not in TEXT.split("## The mapping file")[0]] == []


def test_every_code_of_a_refusal_or_note_is_described_and_no_other() -> None:
    raised = set(re.findall(rf'"({CODE}\.[a-z_]+)"', "".join(SOURCES)))
    raised -= {f"person.{name}" for name in PersonColumns.model_fields}
    rows = re.findall(r"^\| (`[a-z_]+\.[a-z_]+`.*?) \|", TEXT.split("## What is refused")[1], re.MULTILINE)
    described = {code for row in rows for code in re.findall(r"`([a-z_.]+)`", row)}

    assert described == raised


def test_the_limits_in_the_document_are_those_of_the_code() -> None:
    assert f"{MAX_LINE:,}" in TEXT
    assert f"{MAX_FIELD:,}" in TEXT
