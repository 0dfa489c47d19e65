"""What changed since the last version: clause by clause, and who may now ask what, or no longer."""

from __future__ import annotations

from datetime import datetime

from elsewhere.agreement.diff import find_changes, find_shifts
from elsewhere.agreement.render.full import ABOUT, LAWYER
from elsewhere.agreement.render.page import Page
from elsewhere.agreement.study_shifts import find_study_shifts
from elsewhere.agreement.terms import Agreement


def changes_page(old: Agreement | None, new: Agreement, now: datetime) -> Page:
    """Write what changed.

    Args:
        old: the version before; None: this is the first.
        new: the version after.
        now: the time at which both are tried.
    """
    page = Page(f"{new.title}: what changed in version {new.version}")
    page.say(LAWYER, ABOUT)
    if old is None:
        page.say("No earlier version was given, so there is nothing to compare it with.", "version")
        return page
    shifts, changes = find_shifts(old, new, now), find_changes(old, new)
    studies = find_study_shifts(old.research, new.research)
    for heading, is_wider, none in (
        ("Who may now ask more", True, "Nobody may ask more than before."),
        ("Who loses what", False, "Nobody may ask less than before."),
    ):
        page.heading(heading)
        some = [shift for shift in shifts if shift.is_wider is is_wider]
        for shift in some:
            page.item(f"{shift.text}.", f"purpose {shift.purpose}")
        more = [shift for shift in studies if shift.is_wider is is_wider]
        for study in more:
            page.item(f"{study.text}.", study.clause)
        if not some and not more:
            page.say(none, "rules")
    page.heading("Every clause that changed")
    for change in changes:
        page.item(f"{change.clause}: {change.text}.", change.clause)
    if not changes:
        page.say("No clause says anything else; at most their order differs.", "rules")
    return page
