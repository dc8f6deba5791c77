"""The deep ensemble: sizes, routing of gradients, equality with separate networks, storage."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from archwright.errors import SettingsError
from archwright.surrogate import DeepEnsemble
from archwright.surrogate.deep import TRUNK

SMALL = {"members": 3, "trunk": (8, 8), "branch": 16}


def data(n=40, inputs=4, seed=0):
    x = torch.rand(n, inputs, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return x, torch.stack([x.sum(1), x[:, 0] * x[:, 1]], dim=1)


@pytest.mark.parametrize(("inputs", "trunk"), [(4, 175_168), (6, 175_296), (8, 175_424), (10, 175_552), (11, 175_616)])
def test_the_trunk_has_the_published_size(inputs, trunk):
    assert DeepEnsemble(inputs, 1, members=1).trunk_parameters == trunk


def test_members_have_the_published_size_and_differ():
    two = DeepEnsemble(6, 2)
    assert (two.members, two.parameters_per_member) == (6, 441_538)
    assert DeepEnsemble(6, 3, members=1).parameters_per_member == 574_659
    assert DeepEnsemble(4, 4, members=1).parameters_per_member == 707_652
    assert len(torch.unique(two.predict(torch.ones(1, 6)))) == 6


class Member(nn.Module):
    """One member, written plainly."""

    def __init__(self, ensemble: DeepEnsemble, k: int) -> None:
        super().__init__()
        widths = (ensemble.inputs, *ensemble.trunk_widths)
        self.trunk = nn.Sequential(*(self.block(a, b) for a, b in zip(widths, widths[1:])))
        self.branches = nn.ModuleList(
            nn.Sequential(self.block(widths[-1], ensemble.branch), nn.Linear(ensemble.branch, 1))
            for _ in ensemble.heads
        )
        ours = [t[k] for t in ensemble._parameters(range(len(ensemble.heads)))]
        with torch.no_grad():
            for mine, theirs in zip(self.parameters(), ours):
                mine.copy_(theirs.T if theirs.ndim == 2 else theirs)

    def block(self, a: int, b: int) -> nn.Module:
        return nn.Sequential(nn.Linear(a, b), nn.LayerNorm(b), nn.SiLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.trunk(x)
        return torch.cat([branch(h) for branch in self.branches], dim=1)


def test_all_members_at_once_are_the_same_as_one_by_one():
    ensemble = DeepEnsemble(4, 2, lr=1e-2, **SMALL)
    members = [Member(ensemble, k) for k in range(3)]
    x, y = data()
    for k, member in enumerate(members):
        assert torch.allclose(ensemble.predict(x, 1)[k], member(x)[:, 1], atol=1e-6)
    optimizers = [torch.optim.Adam(m.parameters(), lr=1e-2) for m in members]
    batches = [torch.stack([torch.randperm(40)[:16] for _ in range(3)]) for _ in range(5)]
    for part in batches:
        ours = float(ensemble._step(x[part], y[part], [0, 1]).detach())
        theirs = 0.0
        for member, optimizer, rows in zip(members, optimizers, part):
            optimizer.zero_grad()
            loss = sum(functional.huber_loss(member(x[rows])[:, j], y[rows, j]) for j in range(2))
            loss.backward()
            optimizer.step()
            theirs += float(loss.detach())
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert torch.allclose(ensemble.predict(x)[2], members[2](x)[:, 0], atol=1e-4)


def test_an_idle_head_stays_as_it_is_also_after_it_was_trained():
    ensemble = DeepEnsemble(4, 2, **SMALL)
    x, y = data()
    ensemble.fit(x, y[:, 1:], heads=[1], epochs=3)
    idle = [t.clone() for block in ensemble.heads[1] for t in block]
    trunk = [t.clone() for block in ensemble.trunk for t in block]
    ensemble.fit(x, y[:, :1], heads=[0], epochs=3)
    assert all(torch.equal(a, b) for a, b in zip(idle, [t for block in ensemble.heads[1] for t in block]))
    assert not any(torch.equal(a, b) for a, b in zip(trunk, [t for block in ensemble.trunk for t in block]))


def test_it_learns_and_is_repeatable():
    x, y = data(200)
    fits = []
    for _ in range(2):
        ensemble = DeepEnsemble(4, 2, seed=3, **SMALL)
        first = ensemble.fit(x, y, epochs=1)
        last = ensemble.fit(x, y, epochs=40)
        fits.append(ensemble.predict(x))
        assert last < first / 5
    assert torch.equal(*fits)


def test_a_hand_over_keeps_the_trunk():
    ensemble = DeepEnsemble(4, 2, **SMALL)
    trunk = [t.clone() for block in ensemble.trunk for t in block]
    ensemble.restart(1, 1e-3)
    assert len(ensemble.heads) == 1
    assert all(torch.equal(a, b) for a, b in zip(trunk, [t for block in ensemble.trunk for t in block]))


def test_a_stored_one_predicts_the_same_and_is_refused_elsewhere(tmp_path):
    x, y = data()
    ensemble = DeepEnsemble(4, 2, **SMALL)
    ensemble.fit(x, y, epochs=2)
    ensemble.save(tmp_path / "s.safetensors", {"space": "a"})
    again = DeepEnsemble.load(tmp_path / "s.safetensors", {"space": "a"})
    assert torch.equal(again.predict(x, 1), ensemble.predict(x, 1))
    with pytest.raises(SettingsError, match="another space"):
        DeepEnsemble.load(tmp_path / "s.safetensors", {"space": "b"})
    (tmp_path / "other").write_bytes(b"no")
    with pytest.raises(SettingsError, match="not a stored surrogate"):
        DeepEnsemble.load(tmp_path / "other", {})


def test_what_does_not_fit_is_refused():
    ensemble = DeepEnsemble(4, 2, **SMALL)
    x, y = data()
    for inputs, targets in ((x[:0], y[:0]), (x[:, :3], y), (x, y[:, :1])):
        with pytest.raises(SettingsError, match="need inputs n x 4"):
            ensemble.fit(inputs, targets, epochs=1)
    with pytest.raises(SettingsError, match="at least 1"):
        DeepEnsemble(4, 0)
    assert TRUNK == (64, 128, 256, 256, 256)
