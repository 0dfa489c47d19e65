"""How to read one agency's export: which column holds what, in which form. A TOML file, checked as a whole.

Refuses:  unknown keys, naming them; a shield or flag code that does not exist; dates without a format.
Promises: a new form of export is a new table beside `[source.csv]`; mapping files in use stay as they are.
Source:   docs/caseload.md, "The mapping file".
"""

from __future__ import annotations

import codecs
import datetime
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from elsewhere.toml import TomlInvalid, parse_toml
from node.errors import MappingInvalid

FLAG_CODES = ("CP_PLAN", "LAC", "UNBORN_PLAN")
MAX_MAPPING_BYTES = 256 * 1024
FORMS = ("csv", "parquet", "sql")
DATABASES = ("postgresql", "mssql", "sqlite")
_REASONS = {
    "extra_forbidden": "expected no such key; check its spelling",
    "missing": "expected this key; it is missing",
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Cells(_Section):
    """Where one value, or several of a kind, come from: columns, or a text that is the same for every row."""

    columns: list[str] = Field(default_factory=list, max_length=16)
    separator: str = Field(default="", max_length=8)  # splits one cell into several values
    text: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _one_origin(self) -> Cells:
        if bool(self.columns) == bool(self.text):
            raise ValueError("expected either columns or text")
        return self


def _to_cells(value: object) -> object:
    """Let a column name, or a list of them, stand for the table."""
    if isinstance(value, str):
        return {"columns": [value]}
    return {"columns": value} if isinstance(value, list) else value


Columns = Annotated[Cells, BeforeValidator(_to_cells)]


class CsvForm(_Section):
    """How a CSV file is written."""

    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)  # "": nothing is quoted

    @model_validator(mode="after")
    def _readable(self) -> CsvForm:
        _check_encoding(self.encoding)
        if self.delimiter in ("\n", "\r", "\0", self.quote):
            raise ValueError("expected a delimiter that is no line end and not the quote")
        return self


class ParquetForm(_Section):
    """The export is a Parquet file, which says by itself what its columns are."""


class SqlForm(_Section):
    """The export is a table or view of a database. Never SQL text: what is to be computed is a view's."""

    url: str = Field(max_length=500)  # without a password
    password_file: str = ""  # mode 0600; a relative path starts at the node's folder
    table: str = Field(min_length=1, max_length=128)  # or view
    schema_name: str = Field(default="", max_length=128, alias="schema")  # "": where the role finds it
    made_column: str = ""  # its newest value is when the table was made; "": whenever it is read

    @model_validator(mode="after")
    def _url_without_secret(self) -> SqlForm:
        try:
            parts = urlsplit(self.url)
            has_password = parts.password is not None or any(
                word in self.url.lower() for word in ("password", "pwd=")
            )
        except ValueError:
            raise ValueError("expected a database URL, such as postgresql://role@host/name") from None
        if parts.scheme not in DATABASES:
            raise ValueError("expected a URL that begins with one of " + ", ".join(DATABASES))
        if has_password:
            raise ValueError("expected no password in the URL; put it into a file and name password_file")
        return self


class SourceForm(_Section):
    """The export: its name in the store, how fresh it is expected to be, what its cells mean, its form."""

    name: str = Field(pattern="^[a-z][a-z0-9-]{0,63}$")
    max_age_days: int = Field(ge=1, le=366)
    date_formats: list[str] = Field(min_length=1, max_length=8)
    empty: list[str] = Field(default_factory=list)  # texts that mean an empty cell, such as "NULL"
    repeated_ids: Literal["group", "refuse"] = "group"
    max_refused_percent: int = Field(default=5, ge=0, le=50)
    # Exactly one of these is written out, as the table's name is what states the form.
    csv: CsvForm | None = None
    parquet: ParquetForm | None = None
    sql: SqlForm | None = None

    @model_validator(mode="after")
    def _dates_have_one_meaning(self) -> SourceForm:
        for form in self.date_formats:
            _check_date_format(form)
        return self

    @model_validator(mode="after")
    def _one_form(self) -> SourceForm:
        if sum(getattr(self, name) is not None for name in FORMS) != 1:
            raise ValueError("expected exactly one of [source.csv], [source.parquet] and [source.sql]")
        return self

    @property
    def format(self) -> str:
        """The form's name, as it is kept with the source."""
        return next(name for name in FORMS if getattr(self, name) is not None)


class PersonColumns(_Section):
    """The child."""

    id: Columns
    name: Columns | None = None  # the whole name in one cell: "First Family" or "Family, First"
    given: Columns | None = None
    family: Columns | None = None
    birth_date: Columns | None = None
    birth_date_accuracy: Columns | None = None
    postcode: Columns | None = None
    past_postcodes: Columns | None = None
    nhs_number: Columns | None = None
    upn: Columns | None = None
    aliases: Columns | None = None

    @model_validator(mode="after")
    def _name_once(self) -> PersonColumns:
        if self.name is not None and (self.given is not None or self.family is not None):
            raise ValueError("expected either name, or given and family")
        return self


class UnbornColumns(_Section):
    """The mother of an expected child, and when it is due."""

    mother_given: Columns | None = None
    mother_family: Columns | None = None
    mother_birth_date: Columns | None = None
    mother_nhs_number: Columns | None = None
    due_date: Columns | None = None


class Status(_Section):
    """Whether the agency works with the child now."""

    column: str = ""
    values: dict[str, Literal["CURRENT", "PAST"]] = Field(default_factory=dict)
    blank: Literal["CURRENT", "PAST", ""] = ""  # what an empty cell means; "": such a row is refused
    always: Literal["CURRENT", "PAST", ""] = ""

    @model_validator(mode="after")
    def _one_origin(self) -> Status:
        if bool(self.column) == bool(self.always) or bool(self.column) != bool(self.values):
            raise ValueError("expected either always, or column with values")
        return self


class RecordColumns(_Section):
    """The agency's own involvement: what may be answered, tier by tier."""

    status: Status
    service: Columns | None = None
    last_contact: Columns | None = None
    in_hours: Columns | None = None
    out_of_hours: Columns | None = None


class Shield(_Section):
    """Who must not be found, or only through the duty desk. NONE lifts a shield; an empty text is silent."""

    column: str
    values: dict[str, Literal["", "NONE", "SHIELD_LOCATION", "SHIELD_IDENTITY"]] = Field(min_length=1)

    @model_validator(mode="after")
    def _blank_lifts_nothing(self) -> Shield:
        if self.values.get("") == "NONE":
            raise ValueError('expected no "" = "NONE": an empty cell lifts no shield')
        return self


# One [shield] table, or several [[shield]] ones.
Shields = Annotated[
    list[Shield], BeforeValidator(lambda given: [given] if isinstance(given, dict) else given)
]


class Keep(_Section):
    """How long records may be kept. What is left out sets no limit."""

    # Records with status PAST, counted from the day of last contact.
    days_after_contact: int | None = Field(default=None, ge=1, le=36_600)
    until_age: int | None = Field(default=None, ge=1, le=120)  # years; children of that age leave


class FlagColumns(_Section):
    """One coded flag: set by a value, or by a start date alone."""

    code: Literal["CP_PLAN", "LAC", "UNBORN_PLAN"]
    column: str = ""
    values: dict[str, bool] = Field(default_factory=dict)
    start: str = ""
    end: str = ""

    @model_validator(mode="after")
    def _told_by_something(self) -> FlagColumns:
        if not (self.column or self.start) or bool(self.column) != bool(self.values):
            raise ValueError("expected column with values, or start")
        return self


class SourceMapping(_Section):
    """A whole mapping file."""

    source: SourceForm
    person: PersonColumns
    unborn: UnbornColumns = UnbornColumns()
    record: RecordColumns
    shield: Shields = Field(default_factory=list, max_length=8)
    keep: Keep = Keep()
    flags: list[FlagColumns] = Field(default_factory=list, max_length=len(FLAG_CODES))

    @model_validator(mode="after")
    def _flags_once(self) -> SourceMapping:
        if len({flag.code for flag in self.flags}) != len(self.flags):
            raise ValueError("expected each flag code once")
        return self

    @model_validator(mode="after")
    def _empty_or_a_value(self) -> SourceMapping:
        """A text that is read as an empty cell would not be seen as the shield or flag that it stands for."""
        listed: dict[str, Iterable[str]] = {"record.status.values": self.record.status.values}
        listed["shield.values"] = [text for shield in self.shield for text in shield.values]
        listed |= {f"flags.values of {flag.code}": flag.values for flag in self.flags}
        for place, texts in listed.items():
            for text in self.source.empty:
                if text.strip() and text.strip() in texts:
                    raise ValueError(f"expected {text!r} in source.empty or in {place}, not in both")
        return self

    def columns(self) -> tuple[str, ...]:
        """List every column the mapping reads, without repeats."""
        found: dict[str, None] = {}
        for section in (self.person, self.unborn, self.record):
            for _, value in section:
                if isinstance(value, Cells):
                    found.update(dict.fromkeys(value.columns))
        found[self.record.status.column] = None
        found.update(dict.fromkeys(shield.column for shield in self.shield))
        for flag in self.flags:
            found.update(dict.fromkeys((flag.column, flag.start, flag.end)))
        return tuple(name for name in found if name)


def read_mapping(path: Path) -> SourceMapping:
    """Read a mapping file.

    Raises:
        MappingInvalid: not there, no TOML, or a key that is unknown, missing or impossible; `.key` names it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MAPPING_BYTES + 1)
    except OSError as err:
        raise MappingInvalid("file", f"expected a readable file: {err.strerror}") from None
    return mapping_from_toml(data)


def mapping_from_toml(data: bytes) -> SourceMapping:
    """Read the bytes of a mapping file; raises MappingInvalid as `read_mapping` does."""
    if len(data) > MAX_MAPPING_BYTES:
        raise MappingInvalid("file", f"expected at most {MAX_MAPPING_BYTES} bytes")
    try:
        return parse_mapping(parse_toml(data.decode("utf-8")))
    except TomlInvalid as err:
        raise MappingInvalid("file", f"expected TOML: {err}") from None
    except UnicodeDecodeError:
        raise MappingInvalid("file", "expected UTF-8") from None


def parse_mapping(document: Mapping[str, Any]) -> SourceMapping:
    """Check a mapping already parsed from TOML; raises MappingInvalid naming the first wrong key."""
    try:
        return SourceMapping.model_validate(document)
    except ValidationError as err:
        first = err.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        reason = _REASONS.get(first["type"], first["msg"])
        raise MappingInvalid(key, reason.removeprefix("Value error, ")) from None


def _check_encoding(name: str) -> None:
    """Accept text encodings that state every character; others turn bytes into bytes."""
    try:
        is_text = codecs.lookup(name)._is_text_encoding
    except LookupError:
        is_text = False
    if not is_text or name.lower().replace("-", "_") in (
        "idna",
        "punycode",
        "unicode_escape",
        "raw_unicode_escape",
    ):
        raise ValueError("expected a text encoding for encoding, such as utf-8, cp1252 or utf-16")


def _check_date_format(form: str) -> None:
    """Accept formats that give day, month and a year of four digits: 01/02/13 has too many meanings."""
    probe = datetime.date(1987, 10, 23)
    try:
        found = datetime.datetime.strptime(probe.strftime(form), form).date()
    except (ValueError, re.error):  # the latter for a part that is named twice
        found = None
    if found != probe or "%y" in form:
        raise ValueError("expected date formats with day, month and four-digit year, such as %d/%m/%Y")
