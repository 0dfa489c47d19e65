"""A researcher's question, put together step by step; at its end a study to preview and to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from elsewhere.research.builder import Draft
from elsewhere.research.question import Question
from elsewhere.sdk.researcher.ends import End, Participant
from elsewhere.sdk.researcher.pricing import Preview, Terms

if TYPE_CHECKING:
    from elsewhere.sdk.research import Research


@dataclass(frozen=True, slots=True)
class Study:
    """A question that can be previewed and run."""

    research: Research
    question: Question

    def preview(self, *, accuracy: float | None = None, rho: float | None = None) -> Preview:
        """Say what it costs to be within `accuracy` of the truth 19 times in 20, or how exact `rho` makes it.

        Costs nothing. Raises as `Research.refresh`, and as `Research.project`.
        """
        return self.research.preview(self.question, Terms(accuracy, rho))

    def run(
        self,
        *,
        accuracy: float | None = None,
        rho: float | None = None,
        accept_missing: bool = False,
        tell: Callable[[Participant], None] = lambda one: None,
    ) -> End:
        """Ask, and pay. What is left is looked at first: more than that is refused and sent to nobody.

        Args:
            accuracy: within so much of the truth, 19 times in 20; or
            rho: for so much of the budget of every agency.
            accept_missing: go on without agencies that refuse or are away.
            tell: called with each agency's state as it changes.

        Returns:
            Opened with the estimates; Refused, and nothing was charged; or Failed, and what was charged
            stands.

        Raises:
            GatewayUnreachable, and as `Research.refresh` and `Research.project`: nothing was asked, or the
                call broke off, and `Research.budget` tells whether anything was charged.
            SharesApart, SignatureInvalid, RosterRefused ...: what came does not add up. It is kept in the
                folder `studies`; show it to the stewards.
        """
        return self.research.run(self.question, Terms(accuracy, rho, accept_missing), tell)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of one researcher that is being put together; every step gives another."""

    research: Research
    draft: Draft

    def where(self, **keys: str | Sequence[str]) -> Asked:
        """As `Draft.where`."""
        return replace(self, draft=self.draft.where(**keys))

    def group_by(self, *columns: str) -> Asked:
        """As `Draft.group_by`."""
        return replace(self, draft=self.draft.group_by(*columns))

    def count(self) -> Study:
        """As `Draft.count`."""
        return Study(self.research, self.draft.count())

    def children(self, at_most: int = 1) -> Study:
        """As `Draft.children`."""
        return Study(self.research, self.draft.children(at_most))

    def sum(self, column: str) -> Study:
        """As `Draft.sum`."""
        return Study(self.research, self.draft.sum(column))

    def mean(self, column: str) -> Study:
        """As `Draft.mean`."""
        return Study(self.research, self.draft.mean(column))

    def histogram(self, column: str, edges: Sequence[int]) -> Study:
        """As `Draft.histogram`."""
        return Study(self.research, self.draft.histogram(column, edges))

    def quantile(self, column: str, quantiles: Sequence[float]) -> Study:
        """As `Draft.quantile`."""
        return Study(self.research, self.draft.quantile(column, quantiles))

    def distribution(self, most: int) -> Study:
        """As `Draft.distribution`."""
        return Study(self.research, self.draft.distribution(most))
