"""Settings are refused whole, with the key to correct, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from elsewhere.errors import ConfigInvalid
from node.config import load_config

GOOD = 'agency = "police"\nname = "Police"\n'


def written(folder: Path, text: str) -> Path:
    (folder / "node.toml").write_text(text, "utf-8")
    return folder


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD))

    assert config.dir == tmp_path
    assert config.store_url == f"sqlite:///{tmp_path}/store.sqlite"
    assert not config.local_policy().review_everything


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("surprise = 1", "surprise"),
        ("[catalogue]\ntick_s = 0", "catalogue.tick_s"),
        ('[lookup]\nworkers = "2"', "lookup.workers"),
        ("[policy]\nsurprise = 1", "policy"),
        ('[policy]\ndenied_purposes = ["CURIOSITY"]', "denied_purposes"),
        ('[policy]\ntier_cap = "R4"', "tier_cap"),
        ("[policy", "not TOML"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(tmp_path: Path, more: str, named: str) -> None:
    with pytest.raises(ConfigInvalid, match=f"node.toml.*{named}"):
        load_config(written(tmp_path, GOOD + more))


def test_a_folder_without_settings_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="elsewhere node init"):
        load_config(tmp_path)
