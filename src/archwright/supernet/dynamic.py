"""Tournaments of ICDARTS searches, alone or with XDARTS cells and a latency penalty (Herron 2023, sections 4.1 and 7.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from archwright.data import Data
from archwright.errors import SettingsError
from archwright.supernet.memory import Peak
from archwright.supernet.micro import MicroSettings, check_images, search_cells
from archwright.supernet.settings import JointSettings
from archwright.supernet.tournament import Game, Outcome, Played, Tournament, play


@dataclass(frozen=True)
class GameSearch:
    """Plays a game: a complete search from fresh weights, with the game's lists."""

    data: Data
    micro: MicroSettings
    settings: JointSettings
    device: str = "cpu"
    folder: Path | None = None

    def __call__(self, game: Game) -> Played:
        """The parameters and cells that the search ends with."""
        file = None if self.folder is None else self.folder / f"search-{game.tier}-{game.number}.safetensors"
        micro = replace(self.micro, lists=game.lists)
        peak = Peak(self.device, None if file is None else file.with_suffix(".memory"))

        def on_epoch(*_: object) -> bool:
            peak.note()
            return True

        found = search_cells(
            self.data, micro, self.settings, seed=game.seed, device=self.device, checkpoint=file, on_epoch=on_epoch
        )
        cells = {kind: [list(pairs) for pairs in nodes] for kind, nodes in found.cells.items()}
        alpha = {kind: _in_order(found.alpha[kind], game.lists[kind], micro.columns) for kind in game.lists}
        for kept in (file, peak.file):
            if kept is not None:
                kept.unlink(missing_ok=True)
        figures = {
            "seconds": found.search.seconds, "val_accuracy": found.search.curve[-1]["val_accuracy"],
            "expected_latency": found.expected_latency, "epochs": float(len(found.search.curve)), "peak_memory_mb": peak.mb,
        }  # fmt: skip
        return Played(alpha, cells, {name: value for name, value in figures.items() if value is not None})


def _in_order(
    alpha: Sequence[Sequence[float]], lists: Sequence[Sequence[str]], columns: Sequence[str]
) -> list[list[float]]:
    """Parameters in the order of the lists rather than of the columns."""
    named = [dict(zip((c for c in columns if c in names), row)) for names, row in zip(lists, alpha)]
    return [[values[name] for name in names] for names, values in zip(lists, named)]


def dynamic_search(
    data: Data, micro: MicroSettings, settings: JointSettings, *, tournament: Tournament | None = None, seed: int = 0,
    device: str = "cpu", folder: Path | None = None, workers: int = 0, on_game: Callable[[Game], object] | None = None,
) -> Outcome:  # fmt: skip
    """The tournament; with XDARTS cells and a penalty in its games this is the combination that the thesis leaves open.

    Args:
        data: images.
        micro: of every game, whose lists are the tournament's; nodes and cell types must be the tournament's too.
        settings: of every game.
        tournament: the rules; by default three tiers, lists of 8 out of the master space.
        seed, folder, workers, on_game: of :func:`~archwright.supernet.tournament.play`. With a folder a game that broke off
            goes on from its last epoch.
        device: where games are searched.

    Raises:
        SettingsError: no images; nodes that differ; a penalty without the latency of an operation of the pool.
        StudyError: a worker process died.
    """
    check_images(data)
    rules = tournament or Tournament(nodes=micro.nodes, kinds=micro.kinds)
    if rules.nodes != micro.nodes or rules.kinds != micro.kinds:
        raise SettingsError(
            f"the tournament is of {rules.nodes} nodes and cells {', '.join(rules.kinds)}; its games search "
            f"{micro.nodes} nodes and cells {', '.join(micro.kinds)}"
        )
    absent = [name for name in rules.pool if name not in (micro.latency or {})]
    if settings.penalty and absent:
        raise SettingsError(f"a latency penalty needs the latency of all operations; not measured: {', '.join(absent)}")
    identity = {"micro": asdict(micro), "search": settings.to_json(), "data": data.fingerprint}
    game = GameSearch(data, micro, settings, device, folder)
    return play(
        rules, game, seed=seed, folder=folder, workers=workers, settings=identity, on_game=on_game
    )  # fmt: skip


def combined(
    micro: MicroSettings, settings: JointSettings, penalty: float = 0.05
) -> tuple[MicroSettings, JointSettings]:
    """Settings of the combination: XDARTS cells and an expected-latency penalty, 0.05 being the thesis's best."""
    return replace(micro, cell="xdarts"), replace(settings, penalty=penalty)


def dynamic_report(outcome: Outcome, length: int) -> dict[str, Any]:
    """Plain data on a tournament: its cells, last lists, and frequencies per tier for networks of ``length`` cells."""
    return {
        "cells": {kind: [[list(p) for p in node] for node in nodes] for kind, nodes in outcome.cells.items()},
        "lists": {kind: [list(names) for names in rows] for kind, rows in outcome.lists.items()},
        "searches": len(outcome.games),
        "frequencies": {str(tier): values for tier, values in outcome.frequencies(length).items()},
    }
