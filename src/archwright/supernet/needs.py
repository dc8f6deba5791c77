"""Whether there is memory for the searches of a run, looked at before the first of them starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from archwright.data import Data
from archwright.layers.bands import merge_in_stem
from archwright.layers.cells import Nodes
from archwright.shapes import merged
from archwright.supernet.duo import Duo
from archwright.supernet.hierarchical import TYPES, macro_duo, macro_settings, micro_settings
from archwright.supernet.memory import Peak, mind_memory, mind_weights, search_memory
from archwright.supernet.methods import OneShot
from archwright.supernet.micro import MicroSettings, micro_duo, mixed_network
from archwright.supernet.nasbench201 import EdgeSettings, MixedNetwork, edge_duo
from archwright.supernet.settings import JointSettings

Say = Callable[[str], object]


def mind_cells(
    asked: OneShot, data: Data, micro: MicroSettings, settings: JointSettings, say: Say, processes: int = 1
) -> None:
    """For a search of cells, so many times at once.

    Raises:
        SettingsError: there is not enough, and the options do not say that this is to be ignored.
    """
    c_in, both = merged(data.input_shape)[0], (micro.search_cells, micro.evaluation_cells)
    mind_weights(
        lambda: [mixed_network(micro, c_in, data.num_classes, cells) for cells in both], "the search of cells",
        "channels, search_cells, evaluation_cells, nodes or the operations", device=asked.device, memory=asked.run.memory,
    )  # fmt: skip
    duo = micro_duo(micro, c_in, data.num_classes, asked.seed)[0]
    _mind(asked, data, duo, settings, say, "the search of cells", processes)


def mind_template(
    asked: OneShot, data: Data, version: str, micro: MicroSettings, settings: JointSettings, depth: int, say: Say
) -> None:
    """For a search of cells, and for one of a template of ``depth`` such cells as it may find.

    Raises:
        SettingsError: see :func:`mind_cells`.
    """
    types = version != "skips"
    mind_cells(asked, data, micro_settings(version, micro), settings, say)
    heavy = next((name for name in ("sep_conv_5x5", "sep_conv_3x3") if name in micro.operations), micro.operations[-1])
    nodes: Nodes = [[(heavy, 0), (heavy, 1)]] * micro.nodes
    cells = dict.fromkeys((f"type{t}" for t in range(TYPES)) if types else ("normal", "reduce"), nodes)
    duo = macro_duo(
        version, cells, merged(data.input_shape)[0], data.num_classes, micro.channels, depth, asked.seed
    )  # fmt: skip
    _mind(asked, data, duo, macro_settings(version, settings), say, "the search of the template")


def mind_edges(asked: OneShot, data: Data, edge: EdgeSettings, settings: JointSettings, say: Say) -> None:
    """For a search over NAS-Bench-201's cells.

    Raises:
        SettingsError: see :func:`mind_cells`.
    """
    c_in, both = merged(data.input_shape)[0], (edge.search_cells, edge.evaluation_cells)
    mind_weights(
        lambda: [MixedNetwork(edge, c_in, data.num_classes, cells, "") for cells in both], "the search of the cell",
        "channels, search_cells, evaluation_cells or stages", device=asked.device, memory=asked.run.memory,
    )  # fmt: skip
    duo = edge_duo(edge, c_in, data.num_classes, asked.seed)
    _mind(asked, data, duo, settings, say, "the search of the cell")


def peak_of(asked: OneShot, folder: Path | None) -> Peak:
    """The most memory that the run's search uses, kept in its folder."""
    return Peak(asked.device, None if folder is None else folder / "memory.json")


def _mind(
    asked: OneShot, data: Data, duo: Duo, settings: JointSettings, say: Say, what: str, processes: int = 1
) -> None:
    for network in (duo.student, duo.teacher):
        merge_in_stem(network, data.input_shape)
    workers = "workers, " if processes > 1 else ""
    mind_memory(
        search_memory(duo, settings, data), what,
        f"{workers}batch_size ({settings.batch_size}), channels, search_cells, nodes or the operations",
        device=asked.device, say=say, processes=processes, memory=asked.run.memory,
    )  # fmt: skip
