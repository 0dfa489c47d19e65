"""Values that must turn up nowhere, in every form in which a byte string or a word is commonly written."""

from __future__ import annotations

import base64
import gc
import logging
import types
import urllib.parse
import weakref
from asyncio import AbstractEventLoop, Future
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from google.protobuf.message import Message

# Shorter ones occur in random bytes by chance.
SHORTEST = 6
SHORTEST_BASE64 = 10
_LEFT_OUT = (
    *(types.ModuleType, type, types.FrameType, types.GeneratorType, types.CoroutineType),
    *(AbstractEventLoop, Future, logging.Logger, logging.Manager, weakref.ref),
)


def needles(value: bytes | str) -> set[bytes]:
    """Every form to look for, in lower case: raw, reversed, hex, Base64 at any offset, UTF-16, escaped."""
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) < SHORTEST:
        raise ValueError("a canary of fewer bytes would be found by chance")
    forms = {raw, raw[::-1], raw.hex().encode(), repr(raw)[2:-1].encode()}
    for offset in range(3):
        # The first and last characters of Base64 depend on what stands beside the value.
        encoded = base64.b64encode(bytes(offset) + raw)
        inner = encoded[-(-offset * 4 // 3) : len(raw) * 4 // 3 - 1]
        # A shorter one turns up by chance: documents hold Base64 of hex, which has few different characters.
        if len(inner) >= SHORTEST_BASE64:
            forms |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    if isinstance(value, str):
        forms |= {value.encode("utf-16-le"), value.encode("utf-16-be"), urllib.parse.quote(value).encode()}
    return {form.lower() for form in forms}


def assert_absent(canaries: Mapping[str, bytes | str], haystacks: Iterable[tuple[str, bytes]]) -> None:
    """No canary, in no form, in no haystack; a failure names both but not the value."""
    wanted = {name: needles(value) for name, value in canaries.items()}
    for where, haystack in haystacks:
        lower = haystack.lower()
        for name, forms in wanted.items():
            assert not any(form in lower for form in forms), f"{name} is in {where}"


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder by name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield f"file {path.name}", path.read_bytes()


def memory_of(root: object) -> bytes:
    """All text and bytes that an object holds on to, however deep; code and the event loop are left out."""
    seen: set[int] = set()
    found: list[bytes] = []
    waiting: list[object] = [root]
    kept: list[object] = []  # so that no id is given out twice
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _LEFT_OUT):
            continue
        seen.add(id(one))
        kept.append(one)
        if isinstance(one, bytes | bytearray):
            found.append(bytes(one))
        elif isinstance(one, str):
            found.append(one.encode("utf-8", "replace"))
        elif isinstance(one, Message):
            found.append(one.SerializeToString())
        elif isinstance(one, types.FunctionType):
            waiting += [one.__closure__, one.__defaults__, one.__kwdefaults__]
        else:
            waiting += gc.get_referents(one)
    return b"\n".join(found)
