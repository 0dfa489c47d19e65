"""Message classes made of proto/ in a descriptor pool of their own: no generated module, nothing shared."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

PACKAGE = "elsewhere.wire.v1"
FILES = ("common", "directory", "link", "lookup", "catalogue")


class Wire:
    """`wire.Ask(...)` makes a message of that name."""

    def __init__(self, proto: Path) -> None:
        self._pool = descriptor_pool.DescriptorPool()
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "set"
            files = [f"elsewhere/wire/v1/{name}.proto" for name in FILES]
            options = [f"--proto_path={proto}", f"--descriptor_set_out={out}", "--include_imports"]
            if protoc.main(["protoc", *options, *files]) != 0:
                raise OSError("protoc failed")
            described = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
        for file in described.file:
            self._pool.Add(file)

    def __getattr__(self, name: str) -> Any:
        described = self._pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        return message_factory.GetMessageClass(described)

    def enum_name(self, enum: str, number: int, prefix: str) -> str:
        """The name of an enum's value without its prefix."""
        values = self._pool.FindEnumTypeByName(f"{PACKAGE}.{enum}").values_by_number
        return values[number].name.removeprefix(prefix) if number in values else f"UNKNOWN_{number}"
