"""The one error of this searcher: something that another party sent does not hold."""

from __future__ import annotations


class Refusal(Exception):
    """What came is not what the document says; `code` is one of docs/errors.md."""

    def __init__(self, code: str, expected: str) -> None:
        super().__init__(f"[{code}] expected {expected}")
        self.code = code


def require(holds: bool, code: str, expected: str) -> None:
    """Refuse unless it holds."""
    if not holds:
        raise Refusal(code, expected)
