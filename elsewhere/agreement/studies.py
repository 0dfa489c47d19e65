"""What an agreement says of research: who holds which table, projects, their people, and what may be spent.

Refuses:  tables outside the dictionary, people and agencies that are not listed, caps that a share alone
          would break. An agreement without this part allows no research.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.canonical import Json
from elsewhere.errors import DocumentInvalid
from elsewhere.fields import Fields, as_instant, as_text, format_instant
from elsewhere.research.dictionary import dictionary
from elsewhere.roster import AGENCY_ID, Roster
from elsewhere.signing import KEY_BYTES
from elsewhere.spoken import spoken

MAX_NRHO: Final = 1_000_000_000_000  # a rho of 1,000 protects nobody any more
PURPOSES: Final = ("RESEARCH_AGG", "SERVICE_PLANNING")
STATES: Final = ("open", "closed")
FEW_MEMBERS: Final = 5  # up to so many operators one may collude; beyond, a third of them
LEAST_DAYS: Final = 30  # a cap that comes back sooner is none: what a child loses adds up over periods


_Value = TypeVar("_Value")


def _made(fields: Fields, make: Callable[..., _Value], **values: Any) -> _Value:
    """Make a value from what was read of a table; a refusal names its place in the document."""
    try:
        return make(**values)
    except DocumentInvalid as err:
        raise DocumentInvalid(fields.path(err.key), err.reason) from None


@dataclass(frozen=True, slots=True)
class Researcher:
    """A person who may ask, and the key that signs for them."""

    id: str
    name: str
    organisation: str
    key: bytes  # 32 bytes, Ed25519

    def __post_init__(self) -> None:
        as_text(self.id, "id", AGENCY_ID)
        as_text(self.name, "name")
        as_text(self.organisation, "organisation")
        if len(self.key) != KEY_BYTES:
            raise DocumentInvalid("key", f"expected {KEY_BYTES} bytes")

    @property
    def fingerprint(self) -> str:
        """To be compared by voice before the stewards list the key."""
        return spoken("researcher", self.key)

    def to_json(self) -> dict[str, Json]:
        """Write the entry."""
        return {
            "id": self.id,
            "name": self.name,
            "organisation": self.organisation,
            "key": self.key.hex(),
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Researcher:
        """Read one entry."""
        found = _made(
            fields,
            cls,
            id=fields.text("id", AGENCY_ID),
            name=fields.text("name"),
            organisation=fields.text("organisation"),
            key=fields.octets("key", KEY_BYTES),
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class HeldTable:
    """Which agencies hold a table of the dictionary."""

    id: str
    holders: tuple[str, ...]
    of_one_child: int = 0  # k: the most of them that hold rows of one child; 0: all of them
    min_holders: int = 0  # operators of holders that must take part; 0: two beside those that may collude
    why: str = ""  # why these two numbers are right

    def __post_init__(self) -> None:
        if self.id not in dictionary().tables:
            raise DocumentInvalid("id", f"expected one of {', '.join(dictionary().tables)}")
        if not self.holders:
            raise DocumentInvalid("holders", "expected at least one agency")
        if not 0 <= self.of_one_child <= len(self.holders):
            raise DocumentInvalid("of_one_child", f"expected 1 to {len(self.holders)}")
        if not 0 <= self.min_holders <= len(self.holders):
            raise DocumentInvalid("min_holders", f"expected 1 to {len(self.holders)}")
        if self.why:
            as_text(self.why, "why")

    @property
    def k(self) -> int:
        """The most holders that have rows of one child."""
        return self.of_one_child or len(self.holders)

    def to_json(self) -> dict[str, Json]:
        """Write the entry."""
        entry: dict[str, Json] = {"id": self.id, "holders": list(self.holders)}
        for name in ("of_one_child", "min_holders", "why"):
            if value := getattr(self, name):
                entry[name] = value
        return entry

    @classmethod
    def from_fields(cls, fields: Fields) -> HeldTable:
        """Read one entry."""
        found = _made(
            fields,
            cls,
            id=fields.text("id"),
            holders=fields.texts("holders", AGENCY_ID),
            of_one_child=fields.integer("of_one_child", 1, 100) if fields.has("of_one_child") else 0,
            min_holders=fields.integer("min_holders", 1, 100) if fields.has("min_holders") else 0,
            why=fields.text("why") if fields.has("why") else "",
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Display:
    """How answers are shown: a rule of presentation, no protection."""

    round_to: int = 5
    suppress_under: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.round_to <= 1000 or not 0 <= self.suppress_under <= 1000:
            raise DocumentInvalid("round_to", "expected 1 to 1000, and suppress_under 0 to 1000")


@dataclass(frozen=True, slots=True)
class Project:
    """One approved project, in the words of the Five Safes, and what it may spend."""

    id: str
    title: str
    purpose: str
    bases: tuple[str, ...]
    people: tuple[str, ...]  # ids of researchers
    tables: tuple[str, ...]
    setting: str  # where results are worked with
    data: str  # why these tables, and no others
    output: str  # what becomes of the results
    cap_nrho: int  # by everybody, as long as the project runs
    researcher_cap_nrho: int  # by one researcher
    floor_nrho: int  # what one agency's share alone may cost, if all others collude
    min_roster: int  # different operators that must take part
    valid_from: datetime
    valid_until: datetime
    participants: tuple[str, ...] = ()  # empty: every party
    display: Display = field(default_factory=Display)
    state: str = "open"

    def __post_init__(self) -> None:
        as_text(self.id, "id", AGENCY_ID)
        for name in ("title", "setting", "data", "output"):
            as_text(getattr(self, name), name)
        if self.purpose not in PURPOSES:
            raise DocumentInvalid("purpose", f"expected one of {', '.join(PURPOSES)}")
        if not self.bases or not set(self.bases) <= set(vocabulary().bases):
            raise DocumentInvalid("bases", f"expected some of {', '.join(sorted(vocabulary().bases))}")
        if not self.people or not self.tables:
            raise DocumentInvalid("people", "expected at least one person and one table")
        for name in ("cap_nrho", "researcher_cap_nrho", "floor_nrho"):
            if not 1 <= getattr(self, name) <= MAX_NRHO:
                raise DocumentInvalid(name, f"expected 1 to {MAX_NRHO}, a billionth of rho each")
        if not 2 <= self.min_roster <= 100:
            raise DocumentInvalid("min_roster", "expected 2 to 100")
        if self.state not in STATES:
            raise DocumentInvalid("state", f"expected one of {', '.join(STATES)}")
        for name in ("valid_from", "valid_until"):
            object.__setattr__(self, name, as_instant(getattr(self, name), name))
        if self.valid_from >= self.valid_until:
            raise DocumentInvalid("valid_until", "expected a time after valid_from")

    def to_json(self) -> dict[str, Json]:
        """Write the entry; every key but participants is written out."""
        entry: dict[str, Json] = {
            "id": self.id,
            "title": self.title,
            "purpose": self.purpose,
            "bases": list(self.bases),
            "people": list(self.people),
            "tables": list(self.tables),
            "setting": self.setting,
            "data": self.data,
            "output": self.output,
            "cap_nrho": self.cap_nrho,
            "researcher_cap_nrho": self.researcher_cap_nrho,
            "floor_nrho": self.floor_nrho,
            "min_roster": self.min_roster,
            "valid_from": format_instant(self.valid_from),
            "valid_until": format_instant(self.valid_until),
            "round_to": self.display.round_to,
            "suppress_under": self.display.suppress_under,
            "state": self.state,
        }
        if self.participants:
            entry["participants"] = list(self.participants)
        return entry

    @classmethod
    def from_fields(cls, fields: Fields) -> Project:
        """Read one entry."""
        display = Display(
            fields.integer("round_to", 1, 1000) if fields.has("round_to") else 5,
            fields.integer("suppress_under", 0, 1000) if fields.has("suppress_under") else 10,
        )
        found = _made(
            fields,
            cls,
            id=fields.text("id", AGENCY_ID),
            title=fields.text("title"),
            purpose=fields.choice("purpose", PURPOSES),
            bases=fields.texts("bases"),
            people=fields.texts("people", AGENCY_ID),
            tables=fields.texts("tables"),
            setting=fields.text("setting"),
            data=fields.text("data"),
            output=fields.text("output"),
            cap_nrho=fields.integer("cap_nrho", 1, MAX_NRHO),
            researcher_cap_nrho=fields.integer("researcher_cap_nrho", 1, MAX_NRHO),
            floor_nrho=fields.integer("floor_nrho", 1, MAX_NRHO),
            min_roster=fields.integer("min_roster", 2, 100),
            valid_from=fields.instant("valid_from"),
            valid_until=fields.instant("valid_until"),
            participants=fields.texts("participants", AGENCY_ID) if fields.has("participants") else (),
            display=display,
            state=fields.choice("state", STATES) if fields.has("state") else "open",
        )
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Research:
    """The whole part of an agreement that is about research."""

    most_agencies: int  # K: the most agencies that hold anything of one child
    node_cap_nrho: int  # what one agency's node spends on all projects in a period
    period_days: int  # the period of that cap
    tables: tuple[HeldTable, ...]
    researchers: tuple[Researcher, ...]
    projects: tuple[Project, ...]
    colluding: int | None = None  # c: operators that may collude; None: by their number
    why: str = ""  # why K and c are right

    def __post_init__(self) -> None:
        if not 1 <= self.most_agencies <= 100:
            raise DocumentInvalid("most_agencies", "expected 1 to 100")
        if not 1 <= self.node_cap_nrho <= MAX_NRHO:
            raise DocumentInvalid("node_cap_nrho", f"expected 1 to {MAX_NRHO}")
        if not LEAST_DAYS <= self.period_days <= 3660:
            raise DocumentInvalid("period_days", f"expected {LEAST_DAYS} to 3660")
        if self.colluding is not None and not 1 <= self.colluding <= 98:
            raise DocumentInvalid("colluding", "expected 1 to 98")
        if self.why:
            as_text(self.why, "why")
        for name in ("tables", "researchers", "projects"):
            ids = [entry.id for entry in getattr(self, name)]
            if len(set(ids)) != len(ids):
                raise DocumentInvalid(name, "expected a different id in each entry; one is repeated")
        if len({one.key for one in self.researchers}) != len(self.researchers):
            raise DocumentInvalid("researchers", "expected a different key for each")
        for index, project in enumerate(self.projects, 1):
            self._check_project(project, f"projects[{index}]")

    def _check_project(self, project: Project, at: str) -> None:
        """Refuse people and tables that are not listed, and caps out of order."""
        people, tables = {one.id for one in self.researchers}, {one.id for one in self.tables}
        if missing := sorted(set(project.people) - people):
            raise DocumentInvalid(
                f"{at}.people", f"expected people of [[research.researchers]]: {missing[0]}"
            )
        if missing := sorted(set(project.tables) - tables):
            raise DocumentInvalid(f"{at}.tables", f"expected tables of [[research.tables]]: {missing[0]}")
        if not project.researcher_cap_nrho <= project.cap_nrho:
            raise DocumentInvalid(f"{at}.researcher_cap_nrho", "expected at most the project's cap_nrho")

    def check_parties(self, parties: Sequence[str]) -> None:
        """Return only if every agency named is a party; raises DocumentInvalid."""
        named = [(f"research.tables[{n}].holders", one.holders) for n, one in enumerate(self.tables, 1)]
        named += [
            (f"research.projects[{n}].participants", p.participants) for n, p in enumerate(self.projects, 1)
        ]
        for at, agencies in named:
            if missing := sorted(set(agencies) - set(parties)):
                raise DocumentInvalid(at, f"expected parties of the agreement; {missing[0]} is none")

    def project(self, id: str) -> Project | None:
        """Find a project."""
        return next((project for project in self.projects if project.id == id), None)

    def researcher(self, id: str) -> Researcher | None:
        """Find a researcher."""
        return next((one for one in self.researchers if one.id == id), None)

    def table(self, id: str) -> HeldTable | None:
        """Find who holds a table."""
        return next((one for one in self.tables if one.id == id), None)

    def collude(self, roster: Roster) -> int:
        """c: how many operators may collude, as agreed or by how many there are."""
        if self.colluding is not None:
            return self.colluding
        return usual_colluding(len({member.operator for member in roster.active_members()}))

    def holders_needed(self, table: HeldTable, roster: Roster) -> int:
        """How many different operators of a table's holders must take part in a study of it.

        Two beside those that may collude, unless the agreement says fewer: from a sum over fewer, whoever
        colludes takes its own number off, and one agency's is left, with noise alone.
        """
        return table.min_holders or self.collude(roster) + 2

    @property
    def period(self) -> timedelta:
        """The period of a node's cap."""
        return timedelta(days=self.period_days)

    def to_json(self) -> dict[str, Json]:
        """Write the part."""
        entry: dict[str, Json] = {
            "most_agencies": self.most_agencies,
            "node_cap_nrho": self.node_cap_nrho,
            "period_days": self.period_days,
            "tables": [table.to_json() for table in self.tables],
            "researchers": [researcher.to_json() for researcher in self.researchers],
            "projects": [project.to_json() for project in self.projects],
        }
        if self.colluding is not None:
            entry["colluding"] = self.colluding
        if self.why:
            entry["why"] = self.why
        return entry

    @classmethod
    def from_fields(cls, fields: Fields) -> Research:
        """Read the part; raises DocumentInvalid naming the key."""
        found = _made(
            fields,
            cls,
            most_agencies=fields.integer("most_agencies", 1, 100),
            node_cap_nrho=fields.integer("node_cap_nrho", 1, MAX_NRHO),
            period_days=fields.integer("period_days", LEAST_DAYS, 3660),
            tables=tuple(HeldTable.from_fields(one) for one in fields.tables("tables")),
            researchers=tuple(Researcher.from_fields(one) for one in fields.tables("researchers"))
            if fields.has("researchers")
            else (),
            projects=tuple(Project.from_fields(one) for one in fields.tables("projects"))
            if fields.has("projects")
            else (),
            colluding=fields.integer("colluding", 1, 98) if fields.has("colluding") else None,
            why=fields.text("why") if fields.has("why") else "",
        )
        fields.done()
        return found


def usual_colluding(operators: int) -> int:
    """How many of so many operators may collude, where the agreement does not say."""
    return 1 if operators <= FEW_MEMBERS else operators // 3
