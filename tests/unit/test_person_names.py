"""Names, postcodes: folding, placeholders, readings."""

from __future__ import annotations

import pytest

from elsewhere.person.identity import Name
from elsewhere.person.names import family_words, first_names, fold, is_placeholder
from elsewhere.person.places import Postcode, PostcodeKind, read_postcode
from elsewhere.person.readings import READING_LIMIT, Reading, read_names


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  Siân ", "sian"),
        ("Łukasz", "lukasz"),
        ("Søren", "soren"),
        ("Weiß", "weiss"),
        ("Þóra", "thora"),
        ("Đorđe", "dorde"),
        ("Işıl", "isil"),
        ("İpek", "ipek"),
        ("Nguyễn", "nguyen"),
        ("D’Souza", "dsouza"),
        ("ANNE-MARIE", "anne marie"),
        ("Юлия", "yuliya"),
        ("Йосиф", "yosif"),
        ("Γιώργος", "giorgos"),
        ("فاطمة", "fatma"),
        ("李小明", "李小明"),
        ("Ａｎｎ", "ann"),
        ("🙂", ""),
        ("", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


@pytest.mark.parametrize(
    "text",
    [
        "Baby",
        "BABY GIRL",
        "Twin 1",
        "twin A",
        "Infant of Sarah",
        "Baby of Jane Smith",
        "Unknown",
        "Not Known",
        "N/A",
        "Bby",
        "unborn",
        "-",
        "",
        "12",
        "not yet named",
        "Baby 2",
        "Male infant",
    ],
)
def test_placeholders_give_no_first_name(text: str) -> None:
    assert is_placeholder(text)
    assert first_names((text,)) == ()


@pytest.mark.parametrize(
    ("text", "firsts"),
    [
        ("Baby Jane", ("jane",)),
        ("Miss Jane", ("jane",)),
        ("Mary-Jane Ann", ("maryjane", "ann")),
        ("A", ("a",)),
        ("Noname Jo", ("jo",)),
        ("Ofelia", ("ofelia",)),
        ("No", ("no",)),
    ],
)
def test_names_beside_a_placeholder_are_kept(text: str, firsts: tuple[str, ...]) -> None:
    assert first_names((text,)) == firsts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MacDonald", ("mcdonald",)),
        ("Mc Donald", ("mcdonald",)),
        ("Mack", ("mack",)),
        ("O'Brien", ("obrien",)),
        ("O Brien", ("obrien",)),
        ("van den Berg", ("berg",)),
        ("de", ("de",)),
        ("Le", ("le",)),
        ("Al-Hassan", ("hassan",)),
        ("bin Said", ("said",)),
        ("Smith-Jones", ("smith", "jones")),
        ("Saint John", ("stjohn",)),
        ("Not known", ()),
        ("Unknown", ()),
        ("", ()),
    ],
)
def test_family_names(text: str, words: tuple[str, ...]) -> None:
    assert family_words(text) == words


def test_a_double_name_is_read_whole_and_in_parts() -> None:
    readings = read_names((Name(("Anne-Marie",), "Smith-Jones"),))

    assert readings[0] == Reading("annemarie", "smithjones")
    assert {
        Reading("anne", "smithjones"),
        Reading("annemarie", "smith"),
        Reading("annemarie", "jones"),
    } < set(readings)


def test_a_name_in_one_field_is_taken_apart() -> None:
    assert read_names((Name(("Priya", "Raman"), ""),))[0] == Reading("priya", "raman")
    assert read_names((Name((), "Priya Raman"),))[0] == Reading("priya", "raman")


def test_the_usual_name_is_read_before_others_and_an_anonymous_one_never() -> None:
    names = (Name(("Ann",), "Old", "old"), Name(("X",), "Y", "anonymous"), Name(("Ann",), "Hill", "usual"))

    assert read_names(names) == (Reading("ann", "hill"), Reading("ann", "old"))


def test_readings_are_bounded_and_every_name_is_among_them() -> None:
    names = tuple(
        Name((f"A{chr(98 + n)} Mary Jane-Ann",), f"Hill{chr(98 + n)} Smith-Jones") for n in range(10)
    )
    readings = read_names(names)

    assert len(readings) == READING_LIMIT
    assert len({reading.first for reading in readings}) >= len(names)


@pytest.mark.parametrize(
    ("text", "kind", "normal"),
    [
        ("ls6 2ab", PostcodeKind.UK, "LS62AB"),
        ("SW1A1AA", PostcodeKind.UK, "SW1A1AA"),
        ("M1 1AE", PostcodeKind.UK, "M11AE"),
        ("LS6 ZAB", PostcodeKind.FOREIGN, "LS6ZAB"),
        ("LSI0 IHU", PostcodeKind.FOREIGN, "LSI0IHU"),
        ("LS10 OHU", PostcodeKind.UK, "LS100HU"),
        ("ZZ99 3VZ", PostcodeKind.PSEUDO, "ZZ993VZ"),
        ("no fixed abode", PostcodeKind.PSEUDO, "NOFIXEDABODE"),
        ("75011", PostcodeKind.FOREIGN, "75011"),
        ("D02 X285", PostcodeKind.FOREIGN, "D02X285"),
        ("Leeds", PostcodeKind.MALFORMED, "LEEDS"),
    ],
)
def test_postcodes(text: str, kind: PostcodeKind, normal: str) -> None:
    assert read_postcode(text) == Postcode(normal, kind)


def test_a_postcode_falls_into_outward_half_and_sector() -> None:
    home, abroad = read_postcode("LS6 2AB"), read_postcode("75011")

    assert home is not None
    assert abroad is not None
    assert (home.outward, home.sector) == ("LS6", "LS62A")
    assert (abroad.outward, abroad.sector) == ("75011", "75011")
    assert read_postcode("  ") is None
