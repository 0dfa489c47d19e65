"""The commands an operator types to bring a partnership into being, as typed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from elsewhere.cli.gateway import gateway
from elsewhere.cli.node_enrol import accept, init
from elsewhere.errors import EnrolmentRefused

WHO = ["--name", "Northshire Police", "--in-hours", "0000 000 001", "--out-of-hours", "0000 000 002"]


def run(command: object, *arguments: object) -> str:
    """Run one command and give what it printed."""
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output
    return result.output


def test_a_partnership_is_founded_and_two_agencies_join(tmp_path: Path) -> None:
    gw = tmp_path / "gw"
    founded = run(gateway, "init", "--dir", gw, "--federation", "North Shire", "--listen", "127.0.0.1:0")
    federation = re.search(r"federation north-shire, key ([0-9a-f]{16})", founded)
    assert federation is not None
    for agency, sector in (("police", "POLICE"), ("social", "SOCIAL_CARE")):
        folder, request, admission = tmp_path / agency, tmp_path / "request", tmp_path / "admission"
        made = run(init, "--dir", folder, "--agency", agency, "--sector", sector, "--out", request, *WHO)
        key = re.search(r"key is ([0-9a-f]{16})", made)
        assert key is not None
        assert f"key {key[1]}" in run(gateway, "admit", request, "--dir", gw, "--out", admission)
        # Both sides of each voice check are printed alike.
        assert f"key {federation[1]}" in run(accept, admission, "--dir", folder)
    assert "roster 4, agreement 1" in run(gateway, "resign", "--dir", gw)
    assert "police is suspended; roster 5" in run(gateway, "state", "police", "suspended", "--dir", gw)
    with pytest.raises(EnrolmentRefused):
        run(gateway, "state", "nobody", "revoked", "--dir", gw)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_says_when_it_is_ready_and_ends_in_good_order(tmp_path: Path, how: signal.Signals) -> None:
    run(gateway, "init", "--dir", tmp_path, "--federation", "northshire", "--listen", "127.0.0.1:0")
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if line.startswith("ready"))
        assert re.fullmatch(r"ready 127\.0\.0\.1:\d+\n", line)
        process.send_signal(how)
        assert process.wait(timeout=30) == 0
        assert '"event": "gateway stopped"' in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_gateway_with_an_exposed_key_does_not_start(tmp_path: Path) -> None:
    run(gateway, "init", "--dir", tmp_path, "--federation", "northshire", "--listen", "127.0.0.1:0")
    (tmp_path / "keys" / "federation.key").chmod(0o644)

    ended = subprocess.run(
        [sys.executable, "-m", "gateway", str(tmp_path)], capture_output=True, text=True, timeout=30
    )

    assert ended.returncode == 1
    assert "error [key.exposed]" in ended.stderr
