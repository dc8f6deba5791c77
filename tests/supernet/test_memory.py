"""What a search will need and has used: estimates that follow their causes, limits, peaks over sittings."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from archwright.data import load_data
from archwright.errors import SettingsError
from archwright.evaluate.settings import Training
from archwright.evaluate.twins import bytes_of, state
from archwright.families import get_family
from archwright.supernet import memory
from archwright.supernet.memory import MB, Peak, free_memory, mind_memory, search_memory, training_memory
from archwright.supernet.methods import METHODS
from archwright.supernet.micro import MicroSettings, micro_duo
from archwright.supernet.settings import JointSettings

MICRO = MicroSettings(channels=4, search_cells=3, evaluation_cells=3, nodes=1)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return load_data({"train": (rng.integers(0, 255, (400, 8, 8, 1)).astype(np.uint8), np.arange(400) % 2)})


@pytest.fixture(scope="module")
def duo():
    return micro_duo(MICRO, 1, 2, 0)[0]


def test_the_estimate_follows_batch_and_size(data, duo):
    small, double, fourfold = (search_memory(duo, JointSettings(batch_size=b), data) for b in (16, 32, 64))
    assert small < double < fourfold
    assert fourfold - double == pytest.approx(2 * (double - small), rel=0.01)
    wider = search_memory(micro_duo(replace(MICRO, channels=8), 1, 2, 0)[0], JointSettings(batch_size=64), data)
    assert wider > fourfold
    more_examples_than_there_are = search_memory(duo, JointSettings(batch_size=10_000), data)
    assert more_examples_than_there_are == search_memory(duo, JointSettings(batch_size=len(data.train) // 2), data)


def test_no_estimate_is_below_what_a_step_saves(data, duo):
    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.rand(32, 1, 8, 8)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = duo.student.features(x, duo.weights())[0]
    assert output.requires_grad
    assert search_memory(duo, JointSettings(batch_size=32), data) > sum(saved.values())


def test_methods_that_look_ahead_need_more(data, duo):
    first, second = (
        search_memory(duo, JointSettings(**METHODS[name].settings, batch_size=32), data)
        for name in ("darts1", "darts2")
    )
    assert second - first == pytest.approx(memory.MARGIN * 3 * bytes_of(duo.student.parameters()), abs=2)


def test_an_evaluation_network_that_is_not_trained_needs_no_memory_but_its_own(data, duo):
    trained, alone = (
        search_memory(duo, JointSettings(**METHODS["darts1"].settings, batch_size=32, curve=curve), data)
        for curve in ("evaluation", "search")
    )
    assert trained - alone >= memory.MARGIN * bytes_of(duo.teacher.parameters()) - 2


def test_the_networks_and_the_generator_stay_as_they_were(data, duo):
    before = [{n: t.clone() for n, t in state(net).items()} for net in (duo.student, duo.teacher)]
    generator = torch.get_rng_state()
    search_memory(duo, JointSettings(batch_size=32), data)
    for old, net in zip(before, (duo.student, duo.teacher)):
        assert all(torch.equal(old[name], tensor) for name, tensor in state(net).items())
    assert torch.equal(generator, torch.get_rng_state())


def test_what_needs_more_than_there_is_is_refused_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda _: 3 * MB)
    said = []
    with pytest.raises(SettingsError, match=r"it needs about 4 MB in 2 processes; cpu has 3 MB free: lower that, or"):
        mind_memory(2 * MB, "it", "that", device="cpu", say=said.append, processes=2)
    assert said == []
    mind_memory(4 * MB, "it", "that", device="cpu", say=said.append, memory="ignore")
    mind_memory(2 * MB, "it", "that", device="cpu", say=said.append)
    assert said == [f"it needs about {n} MB; cpu has 3 MB free" for n in (4, 2)]


def test_a_training_needs_more_with_a_larger_batch_and_a_tower(data):
    sizes = {}
    for tower in (False, True):
        family = get_family("darts", channels=4, cells=3, tower=tower)
        network = family.build(family.default, (1, 8, 8), 2)
        before = {name: tensor.clone() for name, tensor in state(network).items()}
        for batch in (16, 32, 64):
            sizes[tower, batch] = training_memory(network, Training(batch_size=batch), data)
        assert all(torch.equal(before[name], tensor) for name, tensor in state(network).items())
    assert sizes[False, 64] - sizes[False, 32] == pytest.approx(2 * (sizes[False, 32] - sizes[False, 16]), rel=0.01)
    assert all(sizes[True, batch] > sizes[False, batch] for batch in (16, 32, 64))


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    machine = free_memory(torch.device("cpu"))
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_memory(torch.device("cpu")) == pytest.approx(machine, rel=0.5)
    (tmp_path / "memory.max").write_text(f"{5 * MB}\n")
    assert free_memory(torch.device("cpu")) == 5 * MB - 1000


def test_peaks_count_what_is_held_and_are_kept_between_sittings(tmp_path):
    peak = Peak("cpu", tmp_path / "memory.json")
    assert peak.mb is None
    peak.note()
    before = peak.mb
    held = torch.ones(40 * MB)  # 160 MB
    peak.note()
    assert peak.mb - before > 100
    del held
    again = Peak("cpu", tmp_path / "memory.json")
    assert again.mb == peak.mb
    again.note()
    assert again.mb >= peak.mb


def test_on_cuda_it_is_torch_that_is_asked(monkeypatch):
    cuda = torch.device("cuda")
    said = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7 * MB, 9 * MB))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", said.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 5 * MB)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 4 * MB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * MB)
    assert free_memory(cuda) == 8 * MB
    peak = Peak(cuda)
    peak.note()
    assert (peak.mb, said) == (5.0, [cuda])
