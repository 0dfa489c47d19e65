"""Names that tests replace are where the tests say, so that moving one is seen before an hour's run fails."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterator

import pytest

from tests.architecture.sources import sources


def replaced() -> Iterator[tuple[str, str]]:
    """Where a test replaces a name by its dotted path, and that path."""
    for source in sources("tests"):
        for call in ast.walk(source.tree):
            match call:
                case ast.Call(
                    func=ast.Attribute(attr="setattr" | "delattr"),
                    args=[ast.Constant(value=str(target)), *_],
                ) if "." in target:
                    yield f"{source.path}:{call.lineno}", target


NAMES = list(replaced())


def test_tests_replace_names() -> None:
    assert NAMES


@pytest.mark.parametrize(("where", "name"), NAMES, ids=lambda value: value)
def test_a_replaced_name_exists(where: str, name: str) -> None:
    holder, _, attribute = name.rpartition(".")
    assert hasattr(pkgutil.resolve_name(holder), attribute), f"{where} replaces {name}, which is not there"
