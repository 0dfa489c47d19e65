"""Reading a settings file: TOML into a frozen model, or one sentence that names the key to correct.

Refuses:  unknown keys, values of another type or out of range.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from elsewhere.errors import ConfigInvalid
from elsewhere.toml import TomlInvalid, parse_toml


class Section(BaseModel):
    """A table of a settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StoreSection(Section):
    """The database of a node or gateway."""

    url: str = Field(default="", description="SQLAlchemy URL; empty: store.sqlite in the program's folder")
    password_file: str = Field(
        default="", description="mode 0600; of a server's role; a path starts at the program's folder"
    )

    def url_in(self, folder: Path) -> str:
        """The URL, with the default filled in."""
        return self.url or f"sqlite:///{folder / 'store.sqlite'}"

    def password_in(self, folder: Path) -> Path | None:
        """The file with the password; None: there is none, or libpq finds it."""
        return folder / self.password_file if self.password_file else None


Model = TypeVar("Model", bound=Section)


def read_settings(model: type[Model], path: Path, *, whose: str) -> Model:
    """Read and check a settings file.

    Args:
        model: its field `dir` is set to the file's folder, as an absolute path.
        path: the file.
        whose: "node" or "gateway", the noun of the command that makes such a file.

    Raises:
        ConfigInvalid: no such file, not TOML, an unknown key or a value out of range; the message names it.
    """
    try:
        found = parse_toml(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigInvalid(
            f"expected {path.name} in the {whose}'s folder; run 'elsewhere {whose} init' first"
        ) from None
    except (TomlInvalid, UnicodeDecodeError) as err:
        raise ConfigInvalid(f"{path.name} is not TOML: {err}") from None
    return settings_from(model, {**found, "dir": path.parent.absolute()}, path.name)


def settings_from(model: type[Model], found: dict[str, Any], file_name: str) -> Model:
    """Check settings from any source; raises ConfigInvalid naming the file and the key."""
    try:
        return model.model_validate(found)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        # What a validator of our own says comes with pydantic's word for it in front.
        raise ConfigInvalid(f"{file_name}: {where}: {first['msg'].removeprefix('Value error, ')}") from None
