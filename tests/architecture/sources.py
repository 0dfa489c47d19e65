"""The project's own source files and what stands in them: shared by the architecture tests."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("elsewhere", "gateway", "node")
GENERATED = "elsewhere/wire/v1/"


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path from the root, its dotted name, its text and its syntax tree."""

    path: str
    module: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    @property
    def is_package_file(self) -> bool:
        """Tell whether this is an `__init__.py`."""
        return self.path.endswith("/__init__.py")


def _read(path: Path) -> Source:
    relative = path.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    text = path.read_text("utf-8")
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(relative.as_posix(), module, text, ast.parse(text, str(relative)))


@functools.cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Return every Python file below the folders (default: the packages), generated code left out."""
    found = sorted(path for folder in folders or PACKAGES for path in (ROOT / folder).rglob("*.py"))
    return tuple(_read(path) for path in found if GENERATED not in path.as_posix() + "/")


def imported_modules(source: Source) -> set[str]:
    """Return the dotted names that a file imports anywhere in it; `from a import b` gives `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def dotted_name(node: ast.expr) -> str | None:
    """Return `a.b.c` for a plain attribute chain, or None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted_name(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return None
