"""`elsewhere audit`: this agency's log, receipts from case files, and what auditors do with both."""

from __future__ import annotations

import click

from elsewhere.cli.lazy import Lazy, LazyGroup

_LAZY = {
    "show": Lazy("elsewhere.cli.audit_show", "show", "Show what this agency holds under a call reference."),
    "verify": Lazy("elsewhere.cli.audit_verify", "verify", "Check a receipt, or this agency's whole log."),
    "refresh": Lazy("elsewhere.cli.audit_verify", "refresh", "Add to a receipt who has seen its log since."),
    "subject": Lazy("elsewhere.cli.audit_subject", "subject", "Tell who asked about a child, when and why."),
    "erase": Lazy("elsewhere.cli.audit_subject", "erase", "Destroy what connects the log with a child."),
    "note": Lazy("elsewhere.cli.audit_subject", "note", "Note that a question was asked in error."),
    "export": Lazy(
        "elsewhere.cli.audit_export", "export", "Write the log to a file, to be checked elsewhere."
    ),
    "draw": Lazy("elsewhere.cli.audit_opening", "draw", "Hand out what draws another agency's questions."),
    "open": Lazy("elsewhere.cli.audit_opening", "open_", "Open drawn questions: was each about one child?"),
    "padding": Lazy("elsewhere.cli.audit_padding", "padding", "Check what this agency's catalogues hold."),
}


@click.group(cls=LazyGroup, lazy=_LAZY)
def audit() -> None:
    """Read the log, check receipts, open questions."""
