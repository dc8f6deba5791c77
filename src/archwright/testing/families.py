"""What every family must do."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.families import Family, check_output, family_from_spec, family_spec
from archwright.space import Architecture


class FamilyContract:
    """Inherit and give a fixture ``family``; set ``shapes`` to input shapes that it must take."""

    shapes: tuple[tuple[int, ...], ...] = ((1, 8, 8), (3, 28, 28), (2, 13, 9))

    @pytest.fixture
    def family(self) -> Family:
        raise NotImplementedError("give a fixture family")

    def architectures(self, family: Family) -> list[Architecture]:
        """The default one and a few random ones."""
        rng = np.random.default_rng(0)
        default = [family.default] if family.default is not None else []
        return [*default, *(family.space.sample(rng) for _ in range(4))]

    def test_default_is_in_the_space(self, family: Family) -> None:
        assert family.default is None or family.space.problems(family.default) == []

    def test_networks_take_every_shape_and_any_number_of_classes(self, family: Family) -> None:
        import torch

        for shape in self.shapes:
            if family.check_shape is not None:
                family.check_shape(shape)
            for architecture in self.architectures(family):
                network = family.build(architecture, shape, 3)
                check_output(network, shape, 3)
                output = network.train()(torch.randn(4, *shape))
                logits = output[0] if isinstance(output, tuple) else output
                assert logits.shape == (4, 3)
                assert torch.isfinite(logits).all()

    def test_some_parameter_learns(self, family: Family) -> None:
        import torch

        for architecture in self.architectures(family):
            network = family.build(architecture, self.shapes[0], 2).train()
            output = network(torch.randn(4, *self.shapes[0]))
            (output[0] if isinstance(output, tuple) else output).square().sum().backward()
            assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())

    def test_same_torch_seed_same_weights(self, family: Family) -> None:
        import torch

        weights = []
        for _ in range(2):
            torch.manual_seed(5)
            network = family.build(self.architectures(family)[0], self.shapes[0], 2)
            weights.append([p.detach().clone() for p in network.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(*weights))

    def test_equal_keys_mean_equal_size(self, family: Family) -> None:
        rng = np.random.default_rng(1)
        sizes: dict[str, int] = {}
        for architecture in [family.space.sample(rng) for _ in range(40)]:
            network = family.build(architecture, self.shapes[0], 2)
            size = sum(p.numel() for p in network.parameters())
            assert sizes.setdefault(family.key(architecture), size) == size

    def test_family_can_be_made_again_from_what_is_stored(self, family: Family) -> None:
        spec = family_spec(family)
        if spec["kind"] == "python":
            pytest.skip("made in Python")
        again = family_from_spec(spec)
        assert again.space.fingerprint == family.space.fingerprint
        assert again.options == family.options
