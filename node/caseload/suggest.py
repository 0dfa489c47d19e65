"""A first mapping for an unknown export: what the whole file allows to be said, and comments on the rest.

Sees:     every value of the export. The text it returns holds column names and value codes of short lists
          (status, shield), because the operator must map these; never names, dates, numbers or addresses.
Promises: conservative. An encoding, delimiter or date format is given only if all of the file agrees; what
          is guessed from a column's name carries a comment asking for a look. Where several columns fit, the
          one that speaks of nobody but the child is taken, and where that is not one, a person chooses.
"""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.caseload.csv_source import CsvSource
from node.caseload.mapping import CsvForm
from node.errors import LibraryMissing, SourceEmpty, SourceUnreadable

_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DELIMITERS = (",", ";", "\t", "|")
_DATE_FORMATS = (
    "%Y-%m-%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%Y%m%d",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%Y/%m/%d",
)
_CODES_SHOWN = 12  # a column with more different values is no list of codes
_CODE = re.compile(r"[A-Za-z0-9 /_-]{1,24}")

# Field -> words of a column name that speak for it; the first field that fits takes the column.
_NAMES: tuple[tuple[str, str], ...] = (
    ("unborn.due_date", r"\b(due|edd|expected)\b"),
    ("unborn.mother_given", r"\bmother.*(given|fore|first)"),
    ("unborn.mother_family", r"\bmother.*(family|sur|last)"),
    ("unborn.mother_birth_date", r"\bmother.*(dob|birth)"),
    ("unborn.mother_nhs_number", r"\bmother.*nhs"),
    ("person.past_postcodes", r"\b(prev\w*|past|old|former)\b.*\b(post ?codes?|pcodes?)\b"),
    ("person.birth_date_accuracy", r"\b(dob|birth).*\bacc"),
    ("person.aliases", r"\b(alias(es)?|aka|known as|preferred|nickname)\b"),
    ("person.birth_date", r"\b(dob|date of birth|birth ?date|born)\b"),
    ("person.nhs_number", r"\bnhs\b"),
    ("person.upn", r"\bupn\b|unique pupil"),
    ("person.postcode", r"\b(post ?code|pcode|zip)\b"),
    ("person.name", r"\b(full|whole|complete) names?\b|^((child|pupil|patient|client|student) )?name$"),
    ("person.family", r"\b(family|sur|last) ?names?\b|^family$"),
    ("person.given", r"\b(given|fore|first|middle) ?names? ?\d?\b|^given$"),
    ("shield", r"\b(shield|marker|sensitiv\w*|disclos\w*|restrict\w*|protect\w*)\b"),
    ("record.last_contact", r"^seen$|\b(last|latest)\b.*\b(contact|seen|update|visit|attend\w*)\b"),
    ("record.status", r"\b(status|state|enrolment|active)\b"),
    ("record.service", r"\b(service|team|unit|clinic|school|department)\b"),
    (
        "person.id",
        r"\b(person|child|nominal|pupil|patient|client|case|admission|local|tenant|occupant|resident|member|"
        r"student|learner|customer)\b.*\b(id|ref|reference|no|number)\b|^id$",
    ),
)
# A column of the person's fields whose name has one of these is of somebody, or some time, else.
_OTHERS = re.compile(
    r"\b(parents?|mothers?|fathers?|mum|dad|carers?|guardians?|partner|spouse|siblings?|brother|sister|kin|nok|"
    r"relative|emergency|contact|gp|doctor|worker|referrer|school|maiden|former|previous|prev|old)\b"
)
_LONG_NUMBER = re.compile(r"\d{6,}")
_WIDTH = 100  # of a list in one line, in characters
_SEVERAL = ("person.given", "person.past_postcodes", "person.aliases")
_DATES = ("person.birth_date", "record.last_contact", "unborn.due_date", "unborn.mother_birth_date")


@dataclass(slots=True)
class _Column:
    """What is kept of one column: short codes, and which date formats every value fits."""

    name: str
    filled: int = 0
    codes: Counter[str] = field(default_factory=Counter, repr=False)
    formats: set[str] = field(default_factory=lambda: set(_DATE_FORMATS))

    def add(self, text: str) -> None:
        """Take one value into account."""
        if not text:
            return
        self.filled += 1
        if len(self.codes) <= _CODES_SHOWN:
            self.codes[text] += 1
        self.formats = {form for form in self.formats if _fits(text, form)}


def suggest_mapping(path: Path) -> str:
    """Write a mapping file for an export; of a Parquet file only the names of its columns are read.

    Returns: TOML with comments; lines that need a decision are commented out, so that it does not load
        before somebody has looked where that matters.

    Raises:
        SourceEmpty: no header or no row.
        SourceUnreadable: no encoding or delimiter fits the whole file, or its first line names no columns.
        LibraryMissing: what reads Parquet files is not installed.
    """
    if _is_parquet(path):
        return _text(_Writer(path, None, _columns_of_parquet(path)).lines())
    encoding, sure = _find_encoding(path)
    form = CsvForm(encoding=encoding, delimiter=_find_delimiter(path, encoding))
    with path.open("rb") as file:
        source = CsvSource(file, form)
        _check_header(source.header)
        columns = [_Column(name) for name in source.header]
        ragged = 0
        for _, fields in source.rows():
            if len(fields) != len(columns):
                ragged += 1
                continue
            for column, text in zip(columns, fields, strict=True):
                column.add(text.strip())
    return _text(_Writer(path, form, columns).lines(is_sure=sure, ragged=ragged))


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _columns_of_parquet(path: Path) -> list[_Column]:
    """The columns of a Parquet file, of whose values nothing is looked at."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise LibraryMissing("pyarrow", "Parquet files") from None
    try:
        return [_Column(name) for name in parquet.read_schema(path).names]
    except Exception:  # for a damaged file the library has errors of many kinds, which may quote it
        raise SourceUnreadable("expected a Parquet file; this is a damaged one") from None


def _check_header(header: Sequence[str]) -> None:
    """Refuse a first line that is the row of a person, and say nothing of what is in it."""
    for name in header:
        is_date = any(_fits(name.strip(), form) for form in _DATE_FORMATS)
        if is_date or _LONG_NUMBER.search(re.sub(r"[ -]", "", name)):
            raise SourceUnreadable(
                "expected the names of the columns; a date or a long number came, as in a row of a person. "
                "Export the file with a header, and without days or numbers in it",
                line=1,
            )


def _find_encoding(path: Path) -> tuple[str, bool]:
    """Find the encoding of the whole file; whether it is certain."""
    with path.open("rb") as file:
        start = file.read(4)
        for mark, name in _BOMS:
            if start.startswith(mark):
                return name, True
        file.seek(0)
        if b"\0" in start:
            raise SourceUnreadable("expected text; NUL bytes came and no byte order mark: export it as UTF-8")
    for name in ("utf-8", "cp1252"):
        try:
            with path.open(encoding=name, newline="") as text:
                while text.read(1 << 16):
                    pass
        except UnicodeDecodeError:
            continue
        return name, name == "utf-8"
    raise SourceUnreadable("expected UTF-8, UTF-16 or Windows-1252; the file is none of them throughout")


def _find_delimiter(path: Path, encoding: str) -> str:
    """Find the delimiter that gives the header several columns, and every row as many as it has."""
    best, best_score = "", (-1.0, 0)
    for delimiter in _DELIMITERS:
        with path.open("rb") as file:
            try:
                source = CsvSource(file, CsvForm(encoding=encoding, delimiter=delimiter))
                rows = [len(fields) for _, fields in itertools.islice(source.rows(), 1000)]
            except (SourceUnreadable, SourceEmpty, csv.Error):
                continue
            width = len(source.header)
            score = (sum(size == width for size in rows) / len(rows), width)
            if width > 1 and score > best_score:
                best, best_score = delimiter, score
    if not best:
        with path.open("rb") as file:  # says what is wrong, if anything is beside the delimiter
            list(CsvSource(file, CsvForm(encoding=encoding)).rows())
        raise SourceUnreadable("expected columns apart by comma, semicolon, tab or bar; none of them fits")
    return best


def _fits(text: str, form: str) -> bool:
    """Whether a text is a date of a format, with a year that a person alive may have been born in."""
    try:
        return 1900 <= datetime.datetime.strptime(text.split("T")[0].split(" 00:00")[0], form).year <= 2100
    except ValueError:
        return False


class _Writer:
    """Lays the suggestion out."""

    def __init__(self, path: Path, form: CsvForm | None, columns: Sequence[_Column]) -> None:
        self._form, self._columns = form, columns
        self._name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "export"
        if not self._name[0].isalpha():
            self._name = f"source-{self._name}"
        self._fields: dict[str, list[_Column]] = {}  # what is taken
        self._rivals: dict[str, list[_Column]] = {}  # what fits as well
        self._unclear: set[str] = set()  # fields of which a person chooses the column
        fitting: dict[str, list[_Column]] = {}
        for column in columns:
            fitting.setdefault(_field_of(column), []).append(column)
        for name, several in fitting.items():
            if name and (not name.startswith("unborn.") or "unborn.due_date" in fitting):
                self._choose(name, several)

    def _choose(self, name: str, fitting: Sequence[_Column]) -> None:
        """Take one column for a field, or several where it has several."""
        own = [column for column in fitting if not _is_of_another(name, column)]
        taken = (own or fitting) if name in _SEVERAL else (own or fitting)[:1]
        self._fields[name] = list(taken)
        self._rivals[name] = [column for column in fitting if column not in taken]
        if not own or len(own) > len(taken):
            self._unclear.add(name)

    def lines(self, *, is_sure: bool = True, ragged: int = 0) -> Iterable[str]:
        """Write the file, section by section."""
        yield "# Suggested by 'elsewhere node mapping suggest'. Look at every line before loading;"
        yield "# docs/caseload.md describes each key. Columns are matched by their names alone."
        if ragged:
            yield f"# Rows that would be refused for more or fewer fields than the header: {ragged}"
        yield from ("", "[source]", f"name = {_quote(self._name[:60])}")
        yield "max_age_days = 7  # how old may an export be before answers say that it is stale?"
        yield from self._form_lines(is_sure=is_sure)
        yield from ("", "[person]")
        parts = {"person.given", "person.family"} & self._fields.keys()
        names = ("given", "family") if parts else ("name",)
        yield from self._section("person", ("id", *names, "birth_date", "birth_date_accuracy"))
        yield from self._section("person", ("postcode", "past_postcodes", "nhs_number", "upn", "aliases"))
        if "unborn.due_date" in self._fields:
            yield from ("", "[unborn]")
            mother = ("mother_given", "mother_family", "mother_birth_date", "mother_nhs_number")
            yield from self._section("unborn", (*mother, "due_date"))
        yield from ("", "[record]")
        yield from self._status_lines()
        yield from self._section("record", ("service", "last_contact"))
        yield '# in_hours = { text = "0000 000 000" }  # duty contact, asked for in tier R2'
        yield '# out_of_hours = { text = "0000 000 000" }'
        yield from self._shield_lines()
        yield from ("", "# Flags that may be answered in tier R3: CP_PLAN, LAC, UNBORN_PLAN. One table each:")
        yield from ("# [[flags]]", '# code = "CP_PLAN"', '# start = "column with the start date"')
        unused = [c.name for c in self._columns if not any(c in used for used in self._fields.values())]
        if unused:
            yield from ("", "# Not used:", *(f"#   {_quote(name)}" for name in unused))

    def _form_lines(self, *, is_sure: bool) -> Iterable[str]:
        """Of what form the export is."""
        if self._form is None:
            yield 'date_formats = ["%Y-%m-%d"]  # of days that are texts; of the type date this one fits'
            yield from ("", "[source.parquet]")
            return
        yield from self._date_lines()
        sure = "" if is_sure else "  # a guess: the file is not UTF-8; check names with accents"
        yield from ("", "[source.csv]", f"encoding = {_quote(self._form.encoding)}{sure}")
        yield f"delimiter = {_quote(self._form.delimiter)}"

    def _rival_lines(self, field_name: str) -> Iterable[str]:
        """What else fits a field, for a person to look at."""
        if rivals := self._rivals.get(field_name):
            yield f"# These columns may be meant for {field_name} as well; take the child's own, as of today:"
            yield from (f"#   {_quote(column.name)}" for column in rivals)
        elif field_name in self._unclear:
            yield f"# Is this the child's own {field_name}, as of today? If so, take the # away:"

    def _section(self, section: str, names: Sequence[str]) -> Iterable[str]:
        for name in names:
            found = [column.name for column in self._fields.get(f"{section}.{name}", [])]
            if found:
                yield from self._rival_lines(f"{section}.{name}")
                hidden = "# " if f"{section}.{name}" in self._unclear else ""
                yield from (f"{hidden}{line}" for line in _assigned(name, found))
            elif name == "id":
                yield '# id = ""  # required: which column holds the system\'s own id of the person?'

    def _date_lines(self) -> Iterable[str]:
        """The formats that all dates of the file share; several are left for a person to choose from."""
        dates = [c for name in _DATES for c in self._fields.get(name, []) if c.filled]
        common = set(_DATE_FORMATS).intersection(*(column.formats for column in dates)) if dates else set()
        choices = [form for form in _DATE_FORMATS if form in common]
        if len(choices) == 1:
            yield f"date_formats = [{_quote(choices[0])}]"
            return
        if choices:
            yield "# Every date of the file fits several formats. Keep the one that is meant:"
        else:
            yield "# No one format fits every date of the file. Which are meant?"
            choices = ["%d/%m/%Y"]
        for form in choices:
            yield f"# date_formats = [{_quote(form)}]"

    def _status_lines(self) -> Iterable[str]:
        """The status column with its codes, each to be decided."""
        found = self._fields.get("record.status", [])
        if not found:
            yield '# status = { always = "CURRENT" }  # required: this, or a column with its values'
            return
        yield from self._rival_lines("record.status")
        codes = _codes(found[0])
        values = ", ".join(f'{_quote(code)} = "CURRENT"' for code in codes) or '"?" = "CURRENT"'
        if not codes:
            yield "# Its values are not shown here, as they hardly repeat or are no codes; list each of them."
        yield "# Which values mean that you work with the child now? Change the others to PAST:"
        yield f"# status = {{ column = {_quote(found[0].name)}, values = {{ {values} }} }}"

    def _shield_lines(self) -> Iterable[str]:
        """The shield column with its codes; the strictest stands until somebody decides."""
        yield from (
            "",
            "# Who must not be found (SHIELD_IDENTITY), or only through the duty desk (SHIELD_LOCATION)?",
        )
        yield "# A value that is not listed refuses its row, so that nobody is loaded unshielded by mistake."
        found = self._fields.get("shield", [])
        if not found:
            yield from ("# [shield]", '# column = ""', '# values = { "Y" = "SHIELD_LOCATION" }')
            return
        yield from self._rival_lines("shield")
        values = ", ".join(f'{_quote(code)} = "SHIELD_IDENTITY"' for code in _codes(found[0]))
        yield from ("[shield]", f"column = {_quote(found[0].name)}")
        yield f"values = {{ {values or _quote('?') + ' = ' + _quote('SHIELD_IDENTITY')} }}  # decide each one"


def _field_of(column: _Column) -> str:
    """The field that a column's name speaks for, "" for none."""
    words = _words(column)
    return next((name for name, pattern in _NAMES if re.search(pattern, words)), "")


def _is_of_another(field_name: str, column: _Column) -> bool:
    """Whether a column that fits a field of the child speaks of another person, or of another time."""
    is_own = not field_name.startswith("person.") or field_name == "person.past_postcodes"
    return not is_own and _OTHERS.search(_words(column)) is not None


def _words(column: _Column) -> str:
    """The words of a column's name."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", column.name)
    return re.sub(r"[^a-z0-9]+", " ", spaced.lower()).strip()


def _assigned(name: str, columns: Sequence[str]) -> list[str]:
    """One column, or a list of several, which goes on in further lines if it is long."""
    if len(columns) == 1:
        return [f"{name} = {_quote(columns[0])}"]
    line = f"{name} = [" + ", ".join(map(_quote, columns)) + "]"
    return [line] if len(line) <= _WIDTH else [f"{name} = [", *(f"  {_quote(one)}," for one in columns), "]"]


def _codes(column: _Column) -> list[str]:
    """The values of a column that are few, short and repeated: codes, and nobody's data."""
    few = len(column.codes) <= _CODES_SHOWN and column.filled >= 2 * len(column.codes)
    return sorted(column.codes) if few and all(map(_CODE.fullmatch, column.codes)) else []


def _quote(text: str) -> str:
    """A TOML string: JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)
