"""Made-up children whose details are long and rare enough to be searched for, and questions about them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from elsewhere.asking import Ask
from tests.federation import ask_about, person

# Known to the police and to the hospital.
QUILLA = {"given": "Quillamena", "family": "Vexborough-Hartly", "dob": "02/03/2015", "postcode": "AB1 9QP"}
QUILLA_NHS = "9990000026"
# Known to the police alone.
DORRAN = {"given": "Dorranthel", "family": "Pimmerstone", "dob": "17/11/2013", "postcode": "AB3 8GX"}
# Known to nobody.
YSOLDE = {"given": "Ysoldebrina", "family": "Katzenwhistle", "dob": "23/07/2012", "postcode": "AB5 6LZ"}
POPULATION = (QUILLA, DORRAN, YSOLDE)
CASE, ASKER = "case-reference-7731-kestrel", "worker.marigold.4482"
_askers = itertools.count()


def ask(child: Mapping[str, str], *custodians: str, nhs: str = "", **terms: Any) -> Ask:
    """A question about a child, as a practitioner would put it: another one each time, as limits are real."""
    terms = {"case_reference": CASE, "asker": f"{ASKER}.{next(_askers)}", **terms}
    asked = ask_about(child, custodians=custodians, **terms)
    return replace(asked, person=person(child, nhs_number=nhs)) if nhs else asked


def words_of(child: Mapping[str, str]) -> dict[str, str]:
    """What names a child, as it is written here and there."""
    day, month, year = child["dob"].split("/")
    words = {
        "given name": child["given"],
        "family name": child["family"],
        "half a family name": child["family"].split("-")[0],
        "birth date": f"{year}-{month}-{day}",
        "birth date as typed": child["dob"],
        "birth date without hyphens": f"{year}{month}{day}",
        "postcode": child["postcode"],
        "postcode without space": child["postcode"].replace(" ", ""),
    }
    return {f"{name} of {child['given']}": word for name, word in words.items()}
