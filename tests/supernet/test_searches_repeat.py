"""A search is a function of its seed, and goes on from where it broke off as if it had not (Herron 2023)."""

from dataclasses import replace

import pytest
import torch

from archwright.supernet.hierarchical import macro_duo
from archwright.supernet.joint import Found, joint_search
from archwright.supernet.methods import METHODS
from archwright.supernet.micro import MicroSettings, micro_duo
from archwright.supernet.settings import JointSettings

SMALL = MicroSettings(
    channels=4, search_cells=3, evaluation_cells=3, nodes=1, operations=("max_pool_3x3", "skip_connect", "sep_conv_3x3")
)
QUICK = JointSettings(epochs=2, pretrain_epochs=1, batch_size=16, arch_lr=0.05)
NODES = [[("sep_conv_3x3", 0), ("skip_connect", 1)]]
WAYS = {
    "icdarts": (SMALL, {}),
    "cdarts": (SMALL, METHODS["cdarts"].settings),
    "route_a1": (SMALL, METHODS["route_a1"].settings),
    "darts2": (SMALL, {"steps": METHODS["darts2"].settings["steps"]}),
    "noise": (replace(SMALL, zeros="V2"), {}),
    "learned heads": (SMALL, {"fix_head": False, "share_heads": False, "learn_mix": True}),
    "gumbel, own curve": (replace(SMALL, relaxation="gumbel"), {"curve": "search"}),
    "scratch": (SMALL, {"eval_weights": "scratch"}),
    "skips": (None, {}),
    "skips, own curve": (None, {"curve": "search"}),
}


def searched(way: str, data, *sittings: int, file=None) -> tuple[Found, dict[str, torch.Tensor]]:
    """A search whose sittings end after so many epochs, every one of them with new networks; and all that it ends with."""
    micro, changes = WAYS[way]
    settings = replace(QUICK, **changes)
    for last in sittings:
        if micro is None:
            duo = macro_duo("skips", {"normal": NODES, "reduce": NODES}, 3, 3, 4, 4, 0)
        else:
            duo, *_ = micro_duo(micro, 3, 3, 0)
        torch.manual_seed(1000 + last)
        found = joint_search(
            duo, data, settings, seed=0, checkpoint=file, on_epoch=lambda epoch, _, last=last: epoch < last
        )
    networks = {"w_S": duo.student, "w_E": duo.teacher}
    tensors = {f"{of}/{name}": t for of, net in networks.items() for name, t in net.state_dict().items()}
    return found, tensors | {f"a/{name}": p.detach() for name, p in duo.architecture.items()}


@pytest.mark.parametrize("way", WAYS)
def test_sittings_leave_no_trace(way, data, tmp_path) -> None:
    """alpha, both networks with their statistics, cells and curve to the last bit, whatever else has drawn random numbers."""
    whole, everything = searched(way, data, 3)
    rest, again = searched(way, data, 1, 2, 3, file=tmp_path / "search.safetensors")
    assert everything.keys() == again.keys()
    assert [name for name in everything if not torch.equal(everything[name], again[name])] == []
    assert (whole.choice, whole.history, whole.curve) == (rest.choice, rest.history, rest.curve)
    assert whole.complete
    assert rest.complete
