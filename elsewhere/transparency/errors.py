"""What is wrong with a log, a checkpoint or a proof of another's."""

from __future__ import annotations

from elsewhere.errors import ElsewhereError


class NoteInvalid(ElsewhereError):
    """A checkpoint is not one, or not signed by the log it names. Keep the one held, and tell that agency."""

    code = "log.note"


class ProofBroken(ElsewhereError):
    """A log cannot prove what it claims: it was rewritten, cut or forked, or this is not its proof.

    Keep both checkpoints: together they are the evidence. Tell that agency's data protection officer.
    """

    code = "log.proof"


class LogShort(ElsewhereError):
    """A gateway's copy of a log is shorter than was asked for, or can grow no more. Ask again in a minute."""

    code = "log.short"
