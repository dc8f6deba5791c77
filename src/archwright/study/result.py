"""What ``archwright.search`` gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.study.record import StudyRecord, Trial, jsonable

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Result:
    """What a search found.

    Attributes:
        record: everything, read-only.
        reason: why the search ended.
        interrupted: whether the user stopped it.
        files: what was written, by kind (``study``, ``report``, ``model``, ``onnx``, ...).
    """

    record: StudyRecord
    reason: str = ""
    interrupted: bool = False
    files: dict[str, str] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        """The best trial of the search (after retraining, the chosen one); ``None`` when none ended well."""
        final = self.record.final
        if final is not None:
            number = final["candidates"][final["winner"]]["number"]
            return next(t for t in self.record.trials if t.number == number)
        return self.record.best

    @property
    def pareto_front(self) -> list[Trial]:
        """The trials that no other one dominates."""
        return self.record.pareto

    @property
    def test(self) -> Mapping[str, float] | None:
        """Test metrics of the chosen network, with the ends of their intervals; ``None`` before retraining."""
        return None if self.record.final is None else self.record.final["test"]

    def model(self) -> nn.Module:
        """The trained network, ready to predict.

        Raises:
            ArchwrightError: nothing was retrained and exported.
        """
        from archwright.export import load

        family = self.record.family
        return load(self.record.path, build=lambda *of_what: family.deploy(family.build(*of_what)))

    def report(self, path: str | Path | None = None) -> list[Path]:
        """Write the report as one HTML file (by default ``report.html`` in the study's folder) and PNG figures."""
        from archwright.report import write_report

        return write_report(self.record, None if path is None else Path(path))

    def to_json(self) -> dict[str, Any]:
        """The summary that ``--json`` prints."""
        record = self.record
        best = self.best
        final = record.final or {}
        summary = {
            "study": str(record.path),
            "searcher": record.settings["searcher"]["name"],
            "family": record.family.name,
            "goal": record.goal.to_json(),
            "seed": record.settings["seed"],
            "evaluations": len(record.trials) - record.count("infeasible"),
            "failed": record.count("failed"),
            "infeasible": record.count("infeasible"),
            "stopped_early": sum(t.stopped_early for t in record.trials),
            "repeats": record.repeats,
            "equivalents": round(record.equivalents, 6),
            "best": None if best is None else best.to_json(),
            "pareto_front": [t.to_json() for t in record.pareto],
            "test": final.get("test"),
            "baselines": final.get("baselines", []),
            "reason": self.reason,
            "remarks": list(record.remarks),
            "interrupted": self.interrupted,
            "seconds": round(record.seconds + final.get("seconds", 0.0), 3),
            "files": self.files,
        }
        plain: dict[str, Any] = jsonable(summary)
        return plain
