"""What a parser is to be here: valid examples, a way to mutate them, and the errors it may end in."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError, Message

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import ElsewhereError
from tests.fuzz.mutation import as_bytes, as_json, as_message

Run = Callable[[bytes], object]
Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class Parser:
    """One parser, by the name under which its cases are counted."""

    name: str
    run: Run
    seeds: tuple[bytes, ...] = field(repr=False)
    mutate: Mutate = as_bytes
    refusals: tuple[type[Exception], ...] = (ElsewhereError,)

    def accepts(self, data: bytes) -> bool:
        """Run one case; True if it was accepted, False if it was refused as it should be."""
        try:
            self.run(data)
        except self.refusals:
            return False
        return True


def payload(read: Callable[[Json], object]) -> Run:
    """The payload of a document that a hostile member signed well: its content may be anything."""
    return lambda data: read(parse_canonical(data))


def message_of(kind: type[Message], check: Callable[..., object]) -> Run:
    """A message as gRPC hands it over: what protobuf cannot read never reaches us."""

    def run(data: bytes) -> None:
        message = kind()
        message.ParseFromString(data)
        check(message)

    return run


def wire(name: str, kind: type[Message], run: Run, *examples: bytes) -> Parser:
    return Parser(name, run, examples, as_message(kind), (ElsewhereError, DecodeError))


def document(name: str, read: Callable[[Json], object], *examples: bytes) -> Parser:
    return Parser(name, payload(read), examples, as_json(canonical_json))
