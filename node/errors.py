"""Errors that only a node raises: its store, its caseload, what it refuses of other agencies.

The library's own, and those that both node and gateway raise, are in `elsewhere.errors`; the same rules hold.
"""

from __future__ import annotations

from elsewhere.errors import ElsewhereError


class ClockSkewed(ElsewhereError):
    """A question's time is further from the custodian's clock than is allowed. Set both clocks by NTP."""

    code = "clock.skew"


class ReplayRefused(ElsewhereError):
    """A message that was used before, out of its order, or for another question. Nothing was evaluated."""

    code = "request.replayed"


class RecordsUntagged(ElsewhereError):
    """Not all records in force are tagged under an epoch that is stated. Nothing is answered under it."""

    code = "records.untagged"


class RecordsMissing(ElsewhereError):
    """This agency has loaded no records yet, so it cannot say that nothing is known.

    An agency that has none says so: `lookup.asks_only`.
    """

    code = "records.none"


class CatalogueOverdue(ElsewhereError):
    """Records were loaded some time ago, and no catalogue that shows them all could be handed out since."""

    code = "catalogue.overdue"


class CatalogueAhead(ElsewhereError):
    """Who asks says that it holds a newer catalogue of this agency than its own store knows of.

    That is its word alone. Whether a store was set back, only its own mark tells: `StoreSetBack`.
    """

    code = "catalogue.ahead"


class CatalogueStale(ElsewhereError):
    """The custodian's newest catalogue could not be fetched in time; testing an older one would mislead."""

    code = "catalogue.stale"


class CatalogueDiverged(ElsewhereError):
    """The copy of a catalogue differs from what its custodian states. It is dropped and fetched anew."""

    code = "catalogue.diverged"


class CatalogueNoRoom(ElsewhereError):
    """All catalogues together would take more memory than this node gives them. Give it more."""

    code = "catalogue.no_room"


class NothingRemembered(ElsewhereError):
    """No source was ever loaded into this node, so none can be loaded again. Load each once."""

    code = "load.nothing_remembered"


class LoadRunning(ElsewhereError):
    """Another load into this store is running. Wait for it to end."""

    code = "load.running"


class LoadOvertaken(ElsewhereError):
    """Keys came into force while this load ran, or another load or node took the store. Load again."""

    code = "load.overtaken"


class MappingInvalid(ElsewhereError):
    """The mapping file does not say how to read the source; `key` names the place. Mend it and load again."""

    code = "mapping.invalid"

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"mapping, {key}: {reason}")
        self.key, self.reason = key, reason


class SourceUnreadable(ElsewhereError):
    """The file cannot be read as its mapping says; `line` tells where. Nothing was loaded."""

    code = "source.unreadable"

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.line = line


class LibraryMissing(ElsewhereError):
    """What reads this form of export is not installed. Install it; nothing was changed."""

    code = "source.library"

    def __init__(self, library: str, what: str) -> None:
        super().__init__(
            f"expected {library}, which reads {what}; in the checkout: pip install '.[node,tables]'"
        )


class SourceEmpty(ElsewhereError):
    """The export has no row. Nothing was loaded, as that would drop every record held."""

    code = "source.empty"


class ColumnMissing(ElsewhereError):
    """The header lacks, or repeats, columns that the mapping names. Nothing was loaded."""

    code = "source.column"

    def __init__(self, columns: tuple[str, ...], *, repeated: bool = False, hint: str = "") -> None:
        problem = "once each; more than one" if repeated else "in the header; missing"
        super().__init__(f"expected the mapped columns {problem}: " + ", ".join(map(repr, columns)) + hint)
        self.columns = columns


class LoadRefused(ElsewhereError):
    """So much of the file is refused that it is not what its mapping describes. Nothing was loaded."""

    code = "load.refused"
    report: object = None  # counts and codes of the rows, a `node.caseload.report.LoadReport`


class RotationRunning(ElsewhereError):
    """New keys were ordered before and are not in force yet. Wait; `node status` says how far they are."""

    code = "keys.rotating"


class KeysOverdue(ElsewhereError):
    """A change of keys was due long ago and has not come about. The node's log says what it waits for."""

    code = "keys.overdue"


class StoreSetBack(ElsewhereError):
    """The store is older than what this node gave out, as after a restore. See docs/store.md, "Restore"."""

    code = "store.set_back"


class StateDamaged(ElsewhereError):
    """A file in which this node keeps where it is cannot be read. The message says what to do about it."""

    code = "state.damaged"


class NodeRunning(ElsewhereError):
    """Another process runs this folder's node. Stop that one first, or leave it be."""

    code = "node.running"


class LeadLost(ElsewhereError):
    """Another process of this node leads by now. What was to be written was not; leave it to that one."""

    code = "lead.lost"


class LedgerDamaged(ElsewhereError):
    """The log and the tree over it do not agree: something was altered or removed beside the node."""

    code = "ledger.damaged"


class Intercepted(ElsewhereError):
    """Somebody else than the gateway ends TLS at its address. Have the address left out of TLS inspection."""

    code = "join.intercepted"


class ClockApart(ElsewhereError):
    """This machine's clock and the gateway's differ by more than questions may. Set it by NTP; try again."""

    code = "join.clock"


class MatchKeysWrong(ElsewhereError):
    """It makes other match keys than all others, so nothing would be found. Install anew."""

    code = "join.match_keys"


class FingerprintDiffers(ElsewhereError):
    """What admits is not the federation that the token names. Nothing was taken. Call the operator."""

    code = "join.fingerprint"


class LedgerSetBack(ElsewhereError):
    """The node's store is older than what it has charged. Its operator settles that first."""

    code = "refused.ledger"


class RecordUnknown(ElsewhereError):
    """Neither this agency's records nor its log have such a source and id. Look at how they are written."""

    code = "record.unknown"
