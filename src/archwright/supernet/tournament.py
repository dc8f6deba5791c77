"""Dynamic operation spaces: a tournament of searches, in which each edge's list of operations shrinks (Herron 2023, algorithm 2).

The games of the lowest tier draw their lists from a pool; each game's better half of operations goes on, joined with that of
its neighbour; the last game's cells are the result. No operation that all games have dropped comes back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import numpy as np
import torch

from archwright import genotypes
from archwright.errors import SettingsError, StudyError
from archwright.evaluate.devices import derived_seed
from archwright.layers.operations import MASTER
from archwright.supernet.relaxation import bundles, number_of_edges

Lists = Mapping[str, Sequence[Sequence[str]]]
"""Per cell type the candidate operations of every edge, edges in the order of the architecture parameters."""


Cells = Mapping[str, Sequence[Sequence[tuple[str, int]]]]
"""Per cell type and node its pairs of operation and predecessor; 0 and 1 are the cell's inputs."""


@dataclass(frozen=True)
class Game:
    """One search of a tournament.

    Attributes:
        tier: from the number of tiers (bottom) to 1 (the last game).
        number: within its tier, from 0; its children are games ``2 number`` and ``2 number + 1`` of the tier below.
        lists: the operations of every edge.
        seed: of everything random in it.
    """

    tier: int
    number: int
    lists: Lists
    seed: int


@dataclass(frozen=True)
class Played:
    """What a search of a tournament found.

    Attributes:
        alpha: per cell type and edge the parameter of each operation of its list.
        cells: the discretised cells, per type.
        figures: numbers by name that the search wants kept.
    """

    alpha: Mapping[str, Sequence[Sequence[float]]]
    cells: Cells
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Tournament:
    """Its rules.

    Attributes:
        tiers: so many; tier ``t`` has ``2^(t-1)`` games.
        pool: what the first lists are drawn from; it also settles ties.
        largest: operations of a list, at most.
        nodes: of a cell.
        kinds: cell types.
        bundle: lists per ``edge``, or one for all edges that enter a ``node``, ranked by its largest parameter there.

    Raises:
        SettingsError: no tier, a list shorter than 2 or longer than the pool, or a pool with repeats.
    """

    tiers: int = 3
    pool: tuple[str, ...] = MASTER
    largest: int = 8
    nodes: int = 4
    kinds: tuple[str, ...] = ("normal", "reduce")
    bundle: Literal["edge", "node"] = "edge"

    def __post_init__(self) -> None:
        if self.tiers < 1 or self.nodes < 1:
            raise SettingsError(f"a tournament needs a tier and a node, not {self.tiers} and {self.nodes}")
        if self.bundle not in ("edge", "node"):
            raise SettingsError(f"lists are kept per edge or per node, not per {self.bundle!r}")
        if len(set(self.pool)) < len(self.pool):
            raise SettingsError("the pool of a tournament names an operation twice")
        if not 2 <= self.largest <= len(self.pool):
            raise SettingsError(
                f"a list of a tournament has from 2 to {len(self.pool)} operations (its pool), not {self.largest}"
            )

    def games(self, tier: int) -> int:
        """Games of a tier."""
        return int(2 ** (tier - 1))

    def draw(self, seed: int) -> dict[str, list[tuple[str, ...]]]:
        """Lists of a game of the lowest tier: distinct operations, uniformly, in the pool's order."""
        rng = np.random.default_rng(seed)

        def one() -> tuple[str, ...]:
            return tuple(self.pool[i] for i in sorted(rng.choice(len(self.pool), self.largest, replace=False)))

        if self.bundle == "edge":
            return {kind: [one() for _ in range(number_of_edges(self.nodes))] for kind in self.kinds}
        return {
            kind: [ops for rows in bundles(self.nodes) for ops in [one()] * (rows.stop - rows.start)]
            for kind in self.kinds
        }

    def survivors(self, lists: Lists, alpha: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[set[str]]]:
        """The better half of every list, rounded up, at most half of ``largest`` so that two of them fit into one list.

        Raises:
            SettingsError: parameters that are not finite.
        """
        found: dict[str, list[set[str]]] = {}
        for kind in self.kinds:
            values = [dict(zip(names, row)) for names, row in zip(lists[kind], alpha[kind])]
            if not all(math.isfinite(v) for row in values for v in row.values()):
                raise SettingsError("the architecture parameters of a game are not finite; lower its learning rates")
            if self.bundle == "node":
                values = [best for rows in bundles(self.nodes) for best in _shared(values[rows])]
            found[kind] = [self._half(row) for row in values]
        return found

    def _half(self, values: Mapping[str, float]) -> set[str]:
        ranked = sorted(values, key=lambda name: (-values[name], self.pool.index(name)))
        return set(ranked[: min(math.ceil(len(ranked) / 2), self.largest // 2)])

    def merged(self, one: Mapping[str, list[set[str]]], other: Mapping[str, list[set[str]]]) -> Lists:
        """Lists of a game from the survivors of its children."""
        return {
            kind: [tuple(n for n in self.pool if n in a | b) for a, b in zip(one[kind], other[kind])]
            for kind in self.kinds
        }


def _shared(rows: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    best = {name: max(row[name] for row in rows) for name in rows[0]}
    return [best] * len(rows)


@dataclass(frozen=True)
class Outcome:
    """A tournament that is over.

    Attributes:
        cells: of the last game.
        lists: of the last game.
        games: all games with their results, lowest tier first.
        played: how many were searched in this call; the others were read from the folder.
    """

    cells: Cells
    lists: Lists
    games: tuple[tuple[Game, Played], ...]
    played: int

    def frequencies(self, length: int = 20) -> dict[int, dict[str, dict[Any, float]]]:
        """Per tier the mean operation and depth frequencies of its networks of ``length`` cells."""
        tiers: dict[int, list[genotypes.Cells]] = {}
        for game, result in self.games:
            tiers.setdefault(game.tier, []).append(genotypes.parse_cells(result.cells))
        return {
            tier: {
                "operations": _mean([genotypes.operation_counts(c, length) for c in all_cells]),
                "depths": _mean([genotypes.depth_counts(c, length) for c in all_cells]),
            }
            for tier, all_cells in tiers.items()
        }


def _mean(counts: Sequence[Mapping[Any, int]]) -> dict[Any, float]:
    names = sorted({name for one in counts for name in one})
    return {name: sum(one.get(name, 0) for one in counts) / len(counts) for name in names}


def play(
    tournament: Tournament,
    search: Callable[[Game], Played],
    *,
    seed: int = 0,
    folder: Path | None = None,
    workers: int = 0,
    settings: Mapping[str, Any] | None = None,
    on_game: Callable[[Game], object] | None = None,
) -> Outcome:
    """Play all games, ``2^tiers - 1`` searches.

    Args:
        tournament: the rules.
        search: plays one game; with workers it is sent to other processes.
        seed: of the draws and, by game, of the searches.
        folder: keeps each game's result as soon as it is there; the same call goes on from it.
        workers: processes that play the games of a tier at once; 0 plays them here, one after another.
        settings: JSON-able; a folder of a tournament with other settings is refused.
        on_game: called after every game that was played.

    Raises:
        SettingsError: the folder is of another tournament.
        StudyError: a worker process died; what was played is kept.
    """
    identity = json.loads(json.dumps({"rules": asdict(tournament), "seed": seed, "settings": dict(settings or {})}))
    if folder is not None:
        _claim(folder, identity)
    lists: list[Lists] = [
        tournament.draw(derived_seed(seed, tournament.tiers, number))
        for number in range(tournament.games(tournament.tiers))
    ]
    over: list[tuple[Game, Played]] = []
    fresh = 0
    for tier in range(tournament.tiers, 0, -1):
        games = [Game(tier, r, ops, derived_seed(seed, tier, r, 1)) for r, ops in enumerate(lists)]
        results = {} if folder is None else {g.number: p for g in games if (p := _read(folder, g)) is not None}
        missing = [g for g in games if g.number not in results]
        fresh += len(missing)

        def done(game: Game, played: Played, results: dict[int, Played] = results) -> None:
            results[game.number] = played
            if folder is not None:
                _write(folder / _name(game), {"seed": game.seed, **asdict(played)})
            if on_game is not None:
                on_game(game)

        _play_tier(missing, search, workers, done)
        over += [(g, results[g.number]) for g in games]
        left = [tournament.survivors(g.lists, results[g.number].alpha) for g in games]
        lists = [tournament.merged(left[i], left[i + 1]) for i in range(0, len(left) - 1, 2)]
    last, result = over[-1]
    return Outcome(result.cells, last.lists, tuple(over), fresh)


def _play_tier(
    games: Sequence[Game], search: Callable[[Game], Played], workers: int, done: Callable[[Game, Played], None]
) -> None:
    if workers < 1 or not games:
        for game in games:
            done(game, search(game))
        return
    payload, threads = cloudpickle.dumps(search), max(1, torch.get_num_threads() // min(workers, len(games)))
    with ProcessPoolExecutor(min(workers, len(games)), mp_context=get_context("spawn")) as pool:
        waiting: dict[Future[Played], Game] = {pool.submit(_in_worker, payload, game, threads): game for game in games}
        try:
            for future in as_completed(waiting):
                done(waiting[future], future.result())
        except BrokenProcessPool as error:
            raise StudyError(
                "a worker process of the tournament died, perhaps out of memory; the same call goes on from the games that "
                "are over, with fewer workers if need be"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _in_worker(payload: bytes, game: Game, threads: int) -> Played:
    torch.set_num_threads(threads)
    played: Played = cloudpickle.loads(payload)(game)
    return played


def _name(game: Game) -> str:
    return f"game-{game.tier}-{game.number}.json"


def _claim(folder: Path, identity: Mapping[str, Any]) -> None:
    path = folder / "tournament.json"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, identity)
    elif _json(path) != identity:
        raise SettingsError(f"{folder} holds another tournament (other rules, seed or settings); take another folder")


def _read(folder: Path, game: Game) -> Played | None:
    path = folder / _name(game)
    if not path.is_file():
        return None
    value = _json(path)
    cells = {k: [[(str(o), int(i)) for o, i in node] for node in nodes] for k, nodes in value["cells"].items()}
    return Played(value["alpha"], cells, value["figures"])


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise SettingsError(f"{path} cannot be read ({error}); remove it to play that game again") from error


def _write(path: Path, value: Any) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value))
    new.replace(path)
