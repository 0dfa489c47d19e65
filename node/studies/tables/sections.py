"""What an operator says of a table: where it lies, and which of its columns and codes are the dictionary's.

Refuses:  tables, columns and keys outside the dictionary; two places or none.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from elsewhere.research.dictionary import Kind, Table, dictionary
from elsewhere.settings import Section


class ColumnSection(Section):
    """One column of the dictionary, in the agency's own table."""

    column: str = Field(min_length=1, description="the agency's own column")
    codes: dict[str, str] = Field(
        default_factory=dict, description="own codes and the dictionary's keys; a key stands for itself"
    )
    separator: str = Field(
        default=";", min_length=1, max_length=3, description="between several keys of a row"
    )


class TableSection(Section):
    """One table of the dictionary."""

    file: str = Field(default="", description=".csv, .parquet or .sqlite; starts at the node's folder")
    url: str = Field(default="", description="postgresql:// URL, without a password")
    password_file: str = Field(default="", description="mode 0600; starts at the node's folder")
    table: str = Field(default="", description="table or view, in a database; schema.table in PostgreSQL")
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="of a CSV file")
    child: str = Field(min_length=1, description="own column: the child's id in the agency's own system")
    caseload: str = Field(
        default="", description="the caseload source whose person ids these are; empty: each id is one child"
    )
    date: str = Field(
        min_length=1, description="own column: the day of the event, a date or text like 2026-09-30"
    )
    row: str = Field(min_length=1, description="own column: the row's id; breaks ties of one day")
    columns: dict[str, str | ColumnSection] = Field(description="the dictionary's columns and the own ones")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.file) == bool(self.url):
            raise ValueError("expected file or url")
        if self.file and not self.file.endswith((".csv", ".parquet", ".sqlite")):
            raise ValueError("expected a file that ends in .csv, .parquet or .sqlite")
        if (bool(self.url) or self.file.endswith(".sqlite")) != bool(self.table):
            raise ValueError("expected table with a database, and only there")
        return self

    def named(self) -> set[str]:
        """The agency's own columns that the mapping names."""
        return {self.child, self.date, self.row} | {self.column(name).column for name in self.columns}

    def column(self, name: str) -> ColumnSection:
        """How one column of the dictionary is mapped; KeyError if it is not."""
        found = self.columns[name]
        return ColumnSection(column=found) if isinstance(found, str) else found


class ResearchSection(Section):
    """How this node takes part in studies."""

    tick_ms: int = Field(
        default=100, ge=10, le=10_000, description="shares leave a multiple of it after their call"
    )
    per_hour: int = Field(default=120, ge=1, le=1_000_000, description="queries of one researcher")
    declines: list[str] = Field(
        default_factory=list, description='projects in which this agency takes no part; "*": all of them'
    )
    memory_mb: int = Field(default=1536, ge=64, le=1_048_576, description="for counting a file's rows")
    count_s: int = Field(default=45, ge=1, le=3600, description="after which a count is ended, and fails")
    tables: dict[str, TableSection] = Field(
        default_factory=dict, description="by their names in the dictionary"
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        for name, section in self.tables.items():
            if name not in dictionary().tables:
                raise ValueError(f"expected tables of the dictionary; {name} is none")
            table = dictionary().tables[name]
            for column in section.columns:
                if column not in table.columns:
                    raise ValueError(f"expected columns of {name}; {column} is none")
                _check_codes(table, column, section.column(column))
        return self


def _check_codes(table: Table, name: str, section: ColumnSection) -> None:
    column = table.columns[name]
    if column.kind is Kind.NUMBER and section.codes:
        raise ValueError(f"expected no codes for {name}, which has numbers")
    if unknown := set(section.codes.values()) - set(column.keys):
        raise ValueError(f"expected keys of {name}; {min(unknown)} is none")
