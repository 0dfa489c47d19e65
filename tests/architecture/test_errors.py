"""Every error's code is its own, and docs/errors.md lists exactly the codes there are."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter

from elsewhere.errors import ElsewhereError
from tests.architecture.sources import PACKAGES, ROOT


def _all_errors() -> list[type[ElsewhereError]]:
    """Import every module there is, then return all error classes of the project."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found, todo = [], [ElsewhereError]
    while todo:
        error = todo.pop()
        found.append(error)
        todo.extend(error.__subclasses__())
    return [error for error in found if error.__module__.split(".")[0] in PACKAGES]


def _documented_codes() -> list[str]:
    """Return the first cell of every row of the table, the heading left out."""
    text = (ROOT / "docs/errors.md").read_text("utf-8")
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_no_two_errors_share_a_code() -> None:
    own = Counter(error.__dict__["code"] for error in _all_errors() if "code" in error.__dict__)

    assert {code for code, count in own.items() if count > 1} == set()


def test_every_code_is_short_words_joined_by_dots() -> None:
    assert [e.code for e in _all_errors() if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", e.code)] == []


def test_every_code_is_documented() -> None:
    assert {error.code for error in _all_errors()} - set(_documented_codes()) == set()


def test_every_documented_code_can_be_met_in_the_source() -> None:
    raised = {error.code for error in _all_errors()}
    text = "".join(path.read_text("utf-8") for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    # Some codes cross the wire with a non-answer and are no class: those stand in the source as strings.
    gone = [code for code in _documented_codes() if code not in raised and f'"{code}"' not in text]

    assert gone == []


def test_every_code_that_comes_with_a_non_answer_is_documented() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "node").rglob("*.py"))
    kinds = r"(?:Ruling\(\s*Decision\.\w+,|_limited\(|_incompatible\(|absent\([^()]+,|Note\()"
    by_call = kinds + r"\s*\"([a-z_.]+)\""
    by_state = r"\(State\.\w+, \"([a-z_.]+)\"\)"
    used = set(re.findall(by_call, text)) | set(re.findall(by_state, text))

    assert len(used) > 10
    assert used - set(_documented_codes()) == set()


def test_no_code_is_documented_twice() -> None:
    assert {code for code, count in Counter(_documented_codes()).items() if count > 1} == set()


def test_every_error_says_what_it_means() -> None:
    assert [error.__name__ for error in _all_errors() if not error.__doc__] == []
