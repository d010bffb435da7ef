"""Medians over rounds, and ratios that are paired within a round."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from .measure import Sample
from .workloads import named


@dataclass(frozen=True)
class Results:
    """All samples of one run, and the version of each server (`None`: missing here)."""

    samples: list[Sample]
    versions: dict[str, str | None]

    def servers(self, workload: str) -> list[str]:
        """The servers that were asked to do `workload`, in the order of the list."""
        asked = {sample.server for sample in self.samples if sample.workload == workload}
        return [name for name in self.versions if name in asked]

    def workloads(self) -> list[str]:
        """The workloads that were measured, in order."""
        return list(dict.fromkeys(sample.workload for sample in self.samples))

    def median(self, server: str, workload: str, figure: str) -> float | None:
        """The median of one figure, `None` if there is none."""
        samples = self._of(server, workload)
        values = [sample.figures[figure] for sample in samples if figure in sample.figures]
        return median(values) if values else None

    def advantage(self, server: str, workload: str, figure: str = "per_second") -> float | None:
        """rgunicorn's figure over `server`'s: the median of the rounds' own ratios."""
        reference = named(workload).reference
        own = {s.round: s.figures[figure] for s in self._of(reference, workload) if s.ok}
        ratios = [
            own[sample.round] / sample.figures[figure]
            for sample in self._of(server, workload)
            if sample.ok and sample.round in own and sample.figures[figure]
        ]
        return median(ratios) if ratios else None

    def share(self, server: str, workload: str, base: str, figure: str = "per_second") -> float | None:
        """What `server` does of `workload` over what it does of `base`: the median of the rounds."""
        bases = {s.round: s.figures[figure] for s in self._of(server, base) if s.ok}
        ratios = [
            sample.figures[figure] / bases[sample.round]
            for sample in self._of(server, workload)
            if sample.ok and bases.get(sample.round)
        ]
        return median(ratios) if ratios else None

    def note(self, server: str, workload: str) -> str:
        """What is to be known beside the figures, or why there are none."""
        notes = [note for s in self._of(server, workload) for note in s.note.split("; ") if note]
        return "; ".join(dict.fromkeys(notes))

    def _of(self, server: str, workload: str) -> list[Sample]:
        return [s for s in self.samples if s.server == server and s.workload == workload]
