"""Seeded mutations of bytes, of JSON values and of protobuf messages: a case can be had again by its name.

Bytes alone seldom get past a parser's first check. So a mutation first works on what the bytes say - a value
in the place of another, a field gone or doubled, a list too long - and only sometimes on the bytes.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from elsewhere.errors import NotCanonical

_BYTES = (
    b"",
    b"\0",
    b"\xff",
    b"\x80",
    b"\0" * 32,
    b"\xff" * 32,
    b"\x01" + b"\0" * 31,
    b"\x7f" * 40,
    b"A" * 5000,
)
_TEXTS = (
    "",
    " ",
    "\0",
    "é",
    "\u202e",
    "\ud83d\ude00",
    "0",
    "-1",
    "null",
    "police",
    "../../x",
    "A" * 5000,
    "\n",
    "0" * 64,
)
_NUMBERS = (0, 1, -1, 2, 39, 40, 41, 127, 128, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1)
_JSON: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**53 - 1,
    2**53,
    10**30,
    "",
    "x",
    [],
    {},
    [[]],
    {"": {}},
)
_SPLICES = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"NaN",
    b"-0",
    b"\xef\xbb\xbf",
)
# What readers end in errors of other kinds over: more nesting than Python reads, more digits, longer lines.
_MONSTERS = (b"[" * 2000, b'{"a":' * 2000, b"1" * 5000, b"a." * 1500, b'"a\n",' * 500)
_MOST_STEPS = 4
_DEEPEST = 60
_SMALL = 200
MOST_BYTES = 64 * 1024  # of a case: larger ones teach nothing new and take the time of a hundred


def mutate_bytes(data: bytes, draw: random.Random) -> bytes:
    """Change a few bytes: flip, put in, take out, repeat, cut, or put a piece that parsers care about."""
    found = bytearray(data)
    for _ in range(draw.randint(1, _MOST_STEPS)):
        at = draw.randrange(len(found) + 1)
        step = draw.randrange(6)
        if step == 0 and at < len(found):
            found[at] ^= 1 << draw.randrange(8)
        elif step == 1:
            found[at:at] = draw.randbytes(draw.randint(1, 8))
        elif step == 2:
            del found[at : at + draw.randint(1, 8)]
        elif step == 3:
            found[at:at] = found[at : at + draw.randint(1, 40)]
        elif step == 4:
            found[at:at] = draw.choice(_SPLICES if draw.random() < 0.97 else _MONSTERS)
        else:
            del found[at:]
    return bytes(found)


def mutate_json(value: Any, draw: random.Random) -> Any:
    """Change a JSON value in one place, somewhere inside it; the value given stays as it is."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        found = dict(value)
        key = draw.choice(sorted(found))
        step = draw.randrange(8)
        if step == 0:
            del found[key]
        elif step == 1:
            found[key + draw.choice(("x", " ", "\0"))] = found[key]
        elif step == 2:
            found[draw.choice(_TEXTS)] = draw.choice(_JSON)
        else:
            found[key] = mutate_json(found[key], draw)
        return found
    if isinstance(value, list) and value and draw.random() < 0.85:
        items = list(value)
        at = draw.randrange(len(items))
        step = draw.randrange(6)
        if step == 0:
            del items[at]
        elif step == 1:
            # Only what is small many times over: a few such steps would else fill the memory.
            is_small = len(json.dumps(items[at])) < _SMALL
            items[at:at] = [items[at]] * draw.choice((1, 2, 300) if is_small else (1,))
        elif step == 2:
            draw.shuffle(items)
        else:
            items[at] = mutate_json(items[at], draw)
        return items
    return _other_value(value, draw)


def _other_value(value: Any, draw: random.Random) -> Any:
    """A value in the place of one: of another type, at a bound, slightly changed, or very deep."""
    step = draw.randrange(5)
    if step == 0 and isinstance(value, str) and value:
        return _other_text(value, draw)
    if step == 1 and isinstance(value, int) and not isinstance(value, bool):
        return value + draw.choice((-1, 1, 2**31, -(2**31), 2**53))
    if step == 2:
        return draw.choice(_TEXTS)
    if step == 3:
        deep: Any = value
        for _ in range(draw.randint(1, _DEEPEST)):
            deep = [deep] if draw.random() < 0.5 else {"a": deep}
        return deep
    return draw.choice(_JSON)


def _other_text(text: str, draw: random.Random) -> str:
    """A text with one character changed, taken out, put in, or in another case."""
    at = draw.randrange(len(text))
    put = draw.choice(("", "0", "z", "Z", "é", "\0", "\u200b", text[at] * 2, text[at].swapcase()))
    return text[:at] + put + text[at + draw.randint(0, 1) :]


def mutate_message(message: Message, draw: random.Random) -> None:
    """Change a message in one place, somewhere inside it."""
    fields: Sequence[Any] = message.DESCRIPTOR.fields
    if not fields:
        return
    field = draw.choice(fields)
    if draw.random() < 0.1:
        message.ClearField(field.name)
    elif field.is_repeated:
        _mutate_repeated(getattr(message, field.name), field, draw)
    elif field.message_type is not None:
        mutate_message(getattr(message, field.name), draw)
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, _other_scalar(getattr(message, field.name), field, draw))


def _mutate_repeated(items: Any, field: FieldDescriptor, draw: random.Random) -> None:
    step = draw.randrange(4)
    if step == 0 and len(items):
        del items[draw.randrange(len(items))]
    elif field.message_type is not None:
        if step == 1 and len(items):
            items.add().CopyFrom(draw.choice(list(items)))
        else:
            mutate_message(
                items[draw.randrange(len(items))] if len(items) and step == 2 else items.add(), draw
            )
    elif step == 1 and len(items):
        items.extend([draw.choice(list(items))] * draw.choice((1, 1, 200)))
    elif step == 2 and len(items):
        at = draw.randrange(len(items))
        items[at] = _other_scalar(items[at], field, draw)
    else:
        items.append(_other_scalar(field.default_value or _empty(field), field, draw))


def _empty(field: FieldDescriptor) -> Any:
    return {FieldDescriptor.CPPTYPE_STRING: b"" if field.type == FieldDescriptor.TYPE_BYTES else ""}.get(
        field.cpp_type, 0
    )


def _other_scalar(value: Any, field: FieldDescriptor, draw: random.Random) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return mutate_bytes(value, draw) if value and draw.random() < 0.6 else draw.choice(_BYTES)
    if field.type == FieldDescriptor.TYPE_STRING:
        text = _other_text(value, draw) if value and draw.random() < 0.6 else draw.choice(_TEXTS)
        return text.encode("utf-8", "replace").decode("utf-8")
    if field.cpp_type in (FieldDescriptor.CPPTYPE_BOOL,):
        return draw.random() < 0.5
    bits = {FieldDescriptor.CPPTYPE_UINT32: 32, FieldDescriptor.CPPTYPE_UINT64: 64}.get(field.cpp_type)
    number = draw.choice(_NUMBERS) if draw.random() < 0.6 else int(value) + draw.choice((-1, 1))
    return number % 2**bits if bits else max(-(2**31), min(number, 2**31 - 1))


def as_bytes(data: bytes, draw: random.Random) -> bytes:
    """Mutate bytes of no known shape."""
    return mutate_bytes(data, draw)


def as_json(dump: Callable[[Any], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """Give a mutation of JSON documents; `dump` writes them in the form that the parser expects."""

    def mutate(data: bytes, draw: random.Random) -> bytes:
        if draw.random() < 0.15:
            return mutate_bytes(data, draw)
        try:
            value = json.loads(data)
            for _ in range(draw.randint(1, _MOST_STEPS)):
                value = mutate_json(value, draw)
            return dump(value)
        except (ValueError, RecursionError, NotCanonical):  # it has no such form any more
            return mutate_bytes(data, draw)

    return mutate


def as_message(kind: type[Message]) -> Callable[[bytes, random.Random], bytes]:
    """Give a mutation of protobuf messages of one kind."""

    def mutate(data: bytes, draw: random.Random) -> bytes:
        if draw.random() < 0.15:
            return mutate_bytes(data, draw)
        message = kind()
        try:
            message.ParseFromString(data)
        except DecodeError:
            return mutate_bytes(data, draw)
        for _ in range(draw.randint(1, _MOST_STEPS)):
            mutate_message(message, draw)
        return message.SerializeToString(deterministic=True)

    return mutate


def as_pem(data: bytes, draw: random.Random) -> bytes:
    """Mutate what a PEM file holds, or sometimes its lines."""
    lines = data.splitlines()
    try:
        inner = base64.b64decode(b"".join(lines[1:-1]), validate=True)
    except ValueError:
        return mutate_bytes(data, draw)
    if draw.random() < 0.15 or not inner:
        return mutate_bytes(data, draw)
    return lines[0] + b"\n" + base64.encodebytes(mutate_bytes(inner, draw)) + lines[-1] + b"\n"


def case(seeds: Sequence[bytes], mutate: Callable[[bytes, random.Random], bytes], number: str) -> bytes:
    """Give one case by its name: the same name gives the same bytes."""
    draw = random.Random(number)
    return mutate(draw.choice(seeds), draw)[:MOST_BYTES]
