"""What reads an export may not be installed: the load says which library brings it, and nothing is read."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from node.caseload.mapping import SourceMapping, parse_mapping
from node.caseload.sources import open_source
from node.errors import LibraryMissing
from tests.caseload import MAPPING

POSTGRES = {"url": "postgresql://reader@localhost/cases", "table": "children"}
SERVER = {"url": "mssql://reader@localhost/cases?driver=D&Encrypt=yes", "table": "children"}


def of(**form: dict[str, Any]) -> SourceMapping:
    """The mapping of an export of another form."""
    document: dict[str, Any] = tomllib.loads(MAPPING)
    del document["source"]["csv"]
    document["source"] |= form
    return parse_mapping(document)


@pytest.mark.parametrize(
    ("library", "form", "named"),
    [
        ("pyarrow", {"parquet": {}}, "pyarrow"),
        ("ibis", {"sql": POSTGRES}, "ibis-framework[postgres]"),
        ("ibis", {"sql": SERVER}, "ibis-framework[mssql]"),
    ],
)
def test_what_is_not_installed_is_named_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, form: dict[str, Any], named: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    path = tmp_path / "cases.parquet" if "parquet" in form else None

    with pytest.raises(LibraryMissing) as refusal, open_source(path, of(**form), tmp_path):
        pass

    assert refusal.value.code == "source.library"
    assert named in str(refusal.value)
    assert "pip install" in str(refusal.value)


def test_a_driver_that_is_not_installed_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(LibraryMissing), open_source(None, of(sql=POSTGRES), tmp_path):
        pass
