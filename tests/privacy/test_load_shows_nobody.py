"""No value of a record leaves a load: not printed, logged or raised, nor in any file but the store."""

from __future__ import annotations

import logging
import re
import secrets
import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from elsewhere.cli.node_load import load
from node.caseload import workers
from node.caseload.load import load_file
from node.keys.ring import KeyRing
from node.store.engine import open_store
from tests.caseload import COLUMNS, MAPPING, job, mapping, write_csv

# Every cell of this row carries a word that stands nowhere else.
CANARY = {name: f"QZ{name.replace('_', '').upper()}QZ" for name in COLUMNS}
GOOD = CANARY | {"dob": "02/03/2015", "status": "open", "shield": "", "cp": "Y", "accuracy": ""}
GOOD |= {"seen": "01/03/2026", "due": ""}  # a load with many odd dates is refused
BAD: list[Mapping[str, str]] = [
    CANARY,
    GOOD | {"status": "QZSTATUSQZ"},
    GOOD | {"shield": "QZSHIELDQZ"},
    GOOD | {"given": "QZGIVENQZ\x07"},
    GOOD | {"service": "QZSERVICEQZ" * 30},
    GOOD | {"family": "QZFAMILYQZ" * 30},
]


def _folder(tmp_path: Path) -> Path:
    (tmp_path / "node.toml").write_text('agency = "police"\nname = "Police"\n', "utf-8")
    (tmp_path / "mapping.toml").write_text(MAPPING, "utf-8")
    KeyRing.create(tmp_path, tls_pem=b"pem", random=secrets.token_bytes)
    return tmp_path


def _others(count: int) -> list[Mapping[str, str]]:
    return [GOOD | {"id": f"QZID{n}QZ", "family": f"QZ{chr(97 + n)}QZ"} for n in range(count)]


@pytest.mark.parametrize("options", [[], ["--json"], ["--dry-run"], ["--dry-run", "--json"]])
@pytest.mark.parametrize("rows", [[*BAD, *_others(20)], BAD], ids=["loaded", "refused"])
def test_nothing_printed_or_logged_holds_a_value(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    options: list[str],
    rows: list[Mapping[str, str]],
) -> None:
    node = _folder(tmp_path)
    path = write_csv(node / "export.csv", rows)
    caplog.set_level(logging.DEBUG)

    given = ["--mapping", str(node / "mapping.toml"), "--dir", str(node)]
    result = CliRunner().invoke(load, [str(path), *given, *options])

    assert "status.unknown" in result.output
    assert "QZ" not in result.output + caplog.text


@pytest.mark.parametrize(
    "tail",
    [b'\n"QZ', b"\n\xffQZ", b"\nQZ\0", b"\nQZ" * 2, b"\nQZ" + b"QZ" * 600_000, b'\n"QZ"QZ,'],
    ids=["open quote", "wrong byte", "NUL", "ragged", "long", "text after quote"],
)
def test_no_error_about_a_file_holds_a_value_even_in_its_traceback(tmp_path: Path, tail: bytes) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    path = tmp_path / "export.csv"
    path.write_bytes(",".join(COLUMNS).encode() + tail)

    with pytest.raises(Exception, match="expected") as refusal:
        load_file(path, mapping(), job(store))
    store.close()

    assert "QZ" not in "".join(traceback.format_exception(refusal.value))


def test_a_mistake_of_ours_while_tagging_quotes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_person: object, **_options: object) -> None:
        raise ValueError("QZSOMEBODYQZ")

    monkeypatch.setattr(workers, "record_keys", fail)
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")

    with pytest.raises(RuntimeError, match=r"ValueError at .* while deriving") as failure:
        load_file(write_csv(tmp_path / "a.csv", [GOOD]), mapping(), job(store))
    store.close()

    assert "QZ" not in "".join(traceback.format_exception(failure.value))


def test_no_file_but_the_store_and_the_export_holds_a_value_while_loading(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.sqlite'}")
    path = write_csv(tmp_path / "export.csv", _others(20))
    seen: set[str] = set()

    def look(_phase: str, _done: int, _total: int) -> None:
        for file in tmp_path.rglob("*"):
            # Not two letters alone: among tags those turn up by chance.
            if file.is_file() and re.search(rb"QZ(?:ID\d|[a-t]Q)", file.read_bytes()):
                seen.add(file.name)

    load_file(path, mapping(), job(store), look)
    store.close()

    assert seen <= {"export.csv", "store.sqlite", "store.sqlite-wal"}
