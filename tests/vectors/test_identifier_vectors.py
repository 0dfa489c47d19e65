"""NHS numbers and unique pupil numbers by the published rules, right ones and wrong ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from elsewhere.person.identifiers import is_nhs_number, is_temporary_upn, is_upn

HERE = Path(__file__).parent


def cases(name: str) -> list[Any]:
    """The vectors of a file whose stated sha256 still fits them."""
    document = json.loads((HERE / f"{name}.json").read_text("utf-8"))
    compact = json.dumps(document["vectors"], sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(compact).hexdigest() == document["sha256"]
    return [pytest.param(vector, id=vector["id"]) for vector in document["vectors"]]


@pytest.mark.parametrize("vector", cases("nhs_numbers"))
def test_nhs_numbers(vector: dict[str, Any]) -> None:
    assert is_nhs_number(vector["text"]) is vector["valid"]


@pytest.mark.parametrize("vector", cases("upn"))
def test_unique_pupil_numbers(vector: dict[str, Any]) -> None:
    assert is_upn(vector["text"]) is vector["valid"]
    assert is_temporary_upn(vector["text"]) is vector["temporary"]
