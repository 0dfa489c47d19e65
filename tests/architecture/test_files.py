"""What every source file must look like, so that it can be reviewed alone."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.sources import Source, sources

MAX_LINES = 400
EVERYTHING = sources("elsewhere", "gateway", "node", "tests", "tools", "bench")
PROGRAM = sources()
# What a module may do while it is imported: say what it is, import, name constants, define.
QUIET = (
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)


def _id(source: Source) -> str:
    return source.path


@pytest.mark.parametrize("source", EVERYTHING, ids=_id)
def test_a_file_has_at_most_400_lines(source: Source) -> None:
    assert len(source.text.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("source", EVERYTHING, ids=_id)
def test_a_file_opens_by_saying_what_it_is(source: Source) -> None:
    docstring = ast.get_docstring(source.tree)

    assert docstring, "the module docstring is missing"
    assert docstring.splitlines()[0].strip().endswith((".", "?", ":", ";")), "its first line is no sentence"


@pytest.mark.parametrize("source", [s for s in EVERYTHING if s.is_package_file], ids=_id)
def test_a_package_file_holds_a_docstring_only(source: Source) -> None:
    assert len(source.tree.body) == 1


@pytest.mark.parametrize("source", PROGRAM, ids=_id)
def test_nothing_happens_when_a_module_is_imported(source: Source) -> None:
    body = source.tree.body[1:]  # after the docstring
    loud = [node.lineno for node in body if not isinstance(node, QUIET) and not _is_guard(node)]

    assert loud == [], "statements that run on import"


def _is_guard(node: ast.stmt) -> bool:
    """Tell whether this is `if TYPE_CHECKING:`, or `if __name__ == "__main__":`."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")


@pytest.mark.parametrize("source", PROGRAM, ids=_id)
def test_verify_and_check_functions_return_nothing_that_could_be_ignored(source: Source) -> None:
    functions = (n for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    wrong = [
        function.name
        for function in functions
        if re.match(r"_?(verify|check)_", function.name)
        and (function.returns is None or ast.unparse(function.returns) != "None")
    ]

    assert wrong == []


@pytest.mark.parametrize("source", EVERYTHING, ids=_id)
def test_work_left_undone_names_its_issue(source: Source) -> None:
    # The word is put together here so that this line is not one of those it looks for.
    left = re.findall("TO" + r"DO(?!\(#\d+\)).*", source.text)

    assert left == []
