"""docs/configuration.md lists every setting there is, as the code has it, and no other."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotated_types
import pytest
from pydantic.fields import FieldInfo

from elsewhere.agreement.local import LocalPolicy
from elsewhere.settings import Section, settings_from
from gateway.config import GatewayConfig
from node.config import NodeConfig
from node.studies.tables.sections import ColumnSection, TableSection

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/configuration.md").read_text("utf-8")
TYPES = {str: "text", int: "whole number", float: "number", list[str]: "list of texts", bool: "true or false"}
TYPES[dict[str, str]] = "table of texts"
TYPES[dict[str, str | ColumnSection]] = "table"
MODELS: dict[str, type[Section]] = {"node.toml": NodeConfig, "gateway.toml": GatewayConfig}
OF_PROGRAM = ("dir", "policy")  # the folder is no setting; the policy has a table of its own


def section(heading: str) -> str:
    """The text below one heading, down to the next of its rank."""
    return re.split(r"^## ", TEXT.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of tables by the name in their first cell; no cell holds a bar."""
    found = re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in found}


def settings(model: type[Section], table: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting of a model by its whole name."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from settings(field.annotation, f"{table}{name}.")
        elif field.annotation == dict[str, TableSection]:
            yield from settings(TableSection, f"{table}{name}.TABLE.")
        elif name not in OF_PROGRAM:
            yield f"{table}{name}", field


def default_of(field: FieldInfo) -> str:
    """The default as TOML writes it."""
    if field.is_required():
        return "required"
    return f"`{json.dumps(field.get_default(call_default_factory=True))}`"


def range_of(field: FieldInfo) -> str:
    """What a value may be, in the document's words."""
    limits: dict[str, Any] = {}
    for item in field.metadata:
        if isinstance(item, annotated_types.Ge):
            limits["low"] = f"{item.ge:g}"
        elif isinstance(item, annotated_types.Gt):
            limits["low"] = f"more than {item.gt:g},"
        elif isinstance(item, annotated_types.Le):
            limits["high"] = f"{item.le}"
        elif isinstance(item, annotated_types.MinLen):
            limits["low"] = f"{item.min_length}"
        elif isinstance(item, annotated_types.MaxLen):
            limits["high"] = f"{item.max_length} characters"
        elif pattern := getattr(item, "pattern", None):
            return f"`{pattern}`"
    if set(limits) == {"low"}:
        return f"{limits['low']} or more characters"
    return f"{limits['low']} to {limits['high']}" if limits else ""


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_has_its_row_and_no_other_is_named(name: str) -> None:
    found = {key: row for key, row in rows(section(name)).items() if not key.startswith("policy.")}

    assert {key: row[:3] for key, row in found.items()} == {
        key: [TYPES[field.annotation], default_of(field), range_of(field)]  # type: ignore[index]
        for key, field in settings(MODELS[name])
    }
    assert [key for key, row in found.items() if len(row) != 4 or not row[3]] == []


def test_every_key_of_the_policy_has_its_row_and_its_default() -> None:
    found = {key: row for key, row in rows(section("node.toml")).items() if key.startswith("policy.")}
    keys = [field.name for field in dataclasses.fields(LocalPolicy) if field.init]
    empty = LocalPolicy().to_json()

    assert {key: row[1] for key, row in found.items()} == {
        f"policy.{key}": f"`{json.dumps(empty[key])}`" for key in keys
    }


@pytest.mark.parametrize("name", MODELS)
def test_the_examples_are_settings(name: str, tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", section(name), re.MULTILINE | re.DOTALL)

    settings_from(MODELS[name], {**tomllib.loads(block), "dir": tmp_path}, name)


def test_every_variable_of_the_environment_is_described_and_no_other() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "elsewhere/cli").glob("*.py"))

    assert set(rows(section("The environment"))) == set(re.findall(r'envvar="(\w+)"', sources))
