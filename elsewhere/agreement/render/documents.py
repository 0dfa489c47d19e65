"""The documents that are written out of one agreement, by the names of their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from elsewhere.agreement.render.changes import changes_page
from elsewhere.agreement.render.full import agreement_page
from elsewhere.agreement.render.page import Page
from elsewhere.agreement.render.processing import assessment_page, processing_page
from elsewhere.agreement.render.public import notice_page, register_page
from elsewhere.agreement.terms import Agreement

CHANGES: Final = "changes"
PAGES: Final[Mapping[str, Callable[[Agreement], Page]]] = MappingProxyType(
    {
        "agreement": agreement_page,
        "processing-record": processing_page,
        "impact-assessment": assessment_page,
        "privacy-notice": notice_page,
        "register-entry": register_page,
    }
)


def render(agreement: Agreement, previous: Agreement | None, now: datetime) -> dict[str, Page]:
    """Write every document.

    Args:
        agreement: to write about.
        previous: the version before, for what changed; None: there is none.
        now: aware time, at which the two versions are compared.

    Returns:
        Pages by the names of their files, without an ending.
    """
    pages = {name: write(agreement) for name, write in PAGES.items()}
    return {**pages, CHANGES: changes_page(previous, agreement, now)}
