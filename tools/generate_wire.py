"""Writes the Python of the wire contract from proto/, or checks that the committed one is what proto/ gives.

Run by:   `make proto` (--out .), `make check` (--check), and the drift test.
Source:   proto/elsewhere/wire/v1; the generated code lands in elsewhere/wire/v1 below the chosen folder.

Files of a contract without a service get no `_grpc` module: it would be empty.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("elsewhere/wire/v1")


def generate(out: Path) -> None:
    """Write the generated modules below `out`, which exists; the same bytes every time."""
    protos = sorted((ROOT / "proto" / PACKAGE).glob("*.proto"))
    plugins = Path(sys.executable).parent  # protoc looks for protoc-gen-mypy on PATH
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", "-I", "proto"]
        + [f"--{kind}_out={out.resolve()}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        + ["--mypy_opt=quiet", "--mypy_grpc_opt=quiet"]
        + [str(path.relative_to(ROOT)) for path in protos],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{plugins}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    for proto in protos:
        if not any(line.startswith("service ") for line in proto.read_text("utf-8").splitlines()):
            for suffix in ("py", "pyi"):
                (out / PACKAGE / f"{proto.stem}_pb2_grpc.{suffix}").unlink(missing_ok=True)


def drift() -> list[str]:
    """Return the generated files that differ from the committed ones, are missing, or are left over."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = {path.name: path.read_bytes() for path in (Path(folder) / PACKAGE).iterdir()}
    held = {path.name: path.read_bytes() for path in (ROOT / PACKAGE).glob("*_pb2*")}
    return sorted(name for name in fresh.keys() | held.keys() if fresh.get(name) != held.get(name))


def main() -> int:
    """Return 1 if --check finds a difference, else 0."""
    parser = argparse.ArgumentParser(description="Generate elsewhere/wire/v1 from proto/.")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--out", type=Path, help="write below this folder")
    choice.add_argument("--check", action="store_true", help="compare with the committed files")
    arguments = parser.parse_args()
    if arguments.out is not None:
        generate(arguments.out)
        return 0
    differing = drift()
    if differing:
        sys.stderr.write(
            f"elsewhere/wire/v1 is not what proto/ gives: {', '.join(differing)}; run `make proto`\n"
        )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
