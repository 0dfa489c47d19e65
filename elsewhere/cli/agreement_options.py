"""Arguments that several `elsewhere agreement` commands take: a moment, a file with an agreement."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from elsewhere.agreement.terms import Agreement


class Moment(click.ParamType[datetime]):
    """A day, which begins at 00:00 UTC, or a time in UTC."""

    name = "time"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Show both forms."""
        return "YYYY-MM-DD[THH:MM:SSZ]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Give an aware time, or fail with the forms that are read."""
        from elsewhere.errors import DocumentInvalid
        from elsewhere.fields import as_instant

        if isinstance(value, datetime):
            return value
        try:
            return as_instant(f"{value}T00:00:00Z" if len(str(value)) == 10 else str(value), "time")
        except DocumentInvalid:
            self.fail("expected a day like 2026-09-30 or a time like 2026-09-30T08:00:00Z", param, ctx)


AT = click.option("--at", type=Moment(), help="The time to pretend. By default now.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")


def moment_or_now(at: datetime | None) -> datetime:
    """The time pretended, or now in whole seconds."""
    return at if at is not None else datetime.now(UTC).replace(microsecond=0)


def read(file: Path) -> Agreement:
    """Read an agreement, text or signed."""
    from elsewhere.agreement.reading import read_agreement

    return read_agreement(file.read_bytes())[0]
