"""`elsewhere node load` and `mapping suggest` as an operator types them: what is printed, and how it ends."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elsewhere.cli.node_load import load, mapping
from node.caseload import index
from node.errors import MappingInvalid, SourceUnreadable
from node.keys.ring import KeyRing
from node.store.engine import open_store
from tests.caseload import ANN, BOB, EVA, MAPPING, write_csv


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """The folder of a node, as far as loading needs it."""
    (tmp_path / "node.toml").write_text('agency = "police"\nname = "Police"\n', "utf-8")
    (tmp_path / "mapping.toml").write_text(MAPPING, "utf-8")
    KeyRing.create(tmp_path, tls_pem=b"pem", random=secrets.token_bytes)
    return tmp_path


def _load(node: Path, rows: Sequence[Mapping[str, str]], *options: str) -> Result:
    path = write_csv(node / "export.csv", rows)
    given = ["--mapping", str(node / "mapping.toml"), "--dir", str(node)]
    return CliRunner().invoke(load, [str(path), *given, *options])


def _count(node: Path) -> int:
    store = open_store(f"sqlite:///{node / 'store.sqlite'}")
    with store.read() as conn:
        found = index.record_count(conn)
    store.close()
    return found


def test_a_load_prints_counts_codes_and_row_numbers(node: Path) -> None:
    result = _load(node, [ANN, BOB | {"postcode": "ZZ99 3VZ"}, EVA | {"status": "?"}])

    assert result.exit_code == 0, result.output
    assert "cases: 2 of 3 rows loaded." in result.stdout
    assert "loaded, to be looked at: postcode.unusable 1" in result.stdout
    assert "row 4: status.unknown" in result.stdout
    assert _count(node) == 2


def test_a_dry_run_says_that_nothing_was_changed(node: Path) -> None:
    result = _load(node, [ANN, BOB], "--dry-run")

    assert result.exit_code == 0
    assert "2 of 2 rows would be loaded; nothing was changed." in result.stdout
    assert not (node / "store.sqlite").exists()


def test_json_gives_the_whole_report_as_one_object(node: Path) -> None:
    result = _load(node, [ANN, BOB], "--json")

    said = json.loads(result.stdout)
    assert (said["outcome"], said["loaded"], said["children"], said["refused_rows"]) == ("loaded", 2, 2, [])


@pytest.mark.parametrize("options", [(), ("--json",), ("--dry-run",)])
def test_a_refused_load_ends_with_1_and_lists_the_rows(node: Path, options: tuple[str, ...]) -> None:
    result = _load(node, [ANN, *[BOB | {"status": "?"}] * 30], *options)

    assert result.exit_code == 1
    assert "error [load.refused]" in result.stderr
    assert "Nothing was changed." in result.stderr
    if "--json" in options:
        assert json.loads(result.stdout)["refused_codes"] == {"status.unknown": 30}
    else:
        assert "row 3: status.unknown" in result.stdout
        assert "and 10 more" in result.stdout


def test_a_bad_mapping_or_file_is_an_error_of_ours(node: Path) -> None:
    (node / "mapping.toml").write_text(MAPPING.replace("family =", "surname ="), "utf-8")
    assert isinstance(_load(node, [ANN]).exception, MappingInvalid)
    (node / "mapping.toml").write_text(MAPPING + "\n", "utf-8")
    (node / "bad.csv").write_bytes(b"id,given\n1,\xff\n")

    given = ["--mapping", str(node / "mapping.toml"), "--dir", str(node)]
    result = CliRunner().invoke(load, [str(node / "bad.csv"), *given])

    assert isinstance(result.exception, SourceUnreadable)


@pytest.mark.parametrize("missing", ["--mapping", "--dir"])
def test_a_missing_option_is_a_usage_error(node: Path, missing: str) -> None:
    given = [f"--mapping={node / 'mapping.toml'}", f"--dir={node}"]

    result = CliRunner().invoke(
        load, [str(node / "mapping.toml"), *(option for option in given if not option.startswith(missing))]
    )

    assert result.exit_code == 2


def test_the_age_of_an_export_can_be_stated(node: Path) -> None:
    assert _load(node, [ANN], "--exported", "2020-01-02").exit_code == 0

    store = open_store(f"sqlite:///{node / 'store.sqlite'}")
    with store.read() as conn:
        assert index.source_states(conn)["cases"].read_utc == 1577923200
    store.close()


def test_a_suggestion_goes_to_the_terminal_or_to_a_new_file(node: Path) -> None:
    path = write_csv(node / "export.csv", [ANN, BOB])
    runner = CliRunner()

    shown = runner.invoke(mapping, ["suggest", str(path)])
    written = runner.invoke(mapping, ["suggest", str(path), "--out", str(node / "new.toml")])
    again = runner.invoke(mapping, ["suggest", str(path), "--out", str(node / "new.toml")])

    assert shown.exit_code == written.exit_code == 0
    assert (node / "new.toml").read_text("utf-8") == shown.stdout
    assert again.exit_code == 2
