"""What proxies there are: what each one measures, needs, and comes from. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Needs = Literal["nothing", "data", "labels"]
Pass = Literal["weights", "shape", "gradients", "synflow", "noise", "halves", "features", "regions", "step"]


@dataclass(frozen=True)
class Proxy:
    """An entry of the catalogue.

    Attributes:
        name: as in ``--proxies``.
        summary: what it measures, in a line.
        source: who proposed it.
        needs: nothing but the network and the shape of its input; a batch of inputs; or labels too.
        shared: the pass through the network in which it is computed, with all others of that pass.
        sign: of the correlation with accuracy that is expected: less is better where it is negative.
        can_be_negative: whether dividing by the largest score makes sense.
    """

    name: str
    summary: str
    source: str
    needs: Needs
    shared: Pass
    sign: int = 1
    can_be_negative: bool = False


_EVERY = (
    Proxy("params", "number of trainable parameters", "-", "nothing", "weights"),
    Proxy("l2_norm", "sum of the Euclidean norms of weight tensors", "Abdelfattah et al. 2021", "nothing", "weights"),
    Proxy("flops", "floating-point operations of one forward pass, two per multiply-add", "-", "nothing", "shape"),
    Proxy("grad_norm", "sum of the Euclidean norms of the loss's gradients, per weight tensor",
          "Abdelfattah et al. 2021", "labels", "gradients"),
    Proxy("plain", "sum of weight times gradient, with its sign", "Abdelfattah et al. 2021", "labels", "gradients", -1, True),
    Proxy("snip", "sum of |weight times gradient|: change of the loss when a weight goes", "Lee et al. 2019",
          "labels", "gradients"),
    Proxy("grasp", "sum of -weight times (Hessian times gradient): change of the gradient's norm", "Wang et al. 2020",
          "labels", "gradients", 1, True),
    Proxy("fisher", "squared sum of activation times its gradient, per channel", "Turner et al. 2020",
          "labels", "gradients"),
    Proxy("jacov", "spectrum of the correlations between the gradients of the outputs to each input",
          "Mellor et al. 2020, first version", "data", "gradients", 1, True),
    Proxy("epe_nas", "the same correlations within each class", "Lopes et al. 2021", "labels", "gradients"),
    Proxy("nwot", "log determinant of the agreement of activation patterns, all activations counted",
          "Mellor et al. 2021", "data", "gradients", 1, True),
    Proxy("nwot_live", "the same for the activations that reach the output", "Mellor et al. 2021, their code",
          "data", "gradients", 1, True),
    Proxy("ntk_cond", "condition number of the neural tangent kernel of the batch", "Chen et al. 2021 (TE-NAS)",
          "data", "gradients", -1),
    Proxy("zico", "mean over deviation of |gradients| between the halves of a batch, log, summed over layers",
          "Li et al. 2023", "labels", "halves", 1, True),
    Proxy("synflow", "log of the sum of |weight times gradient| of the sum of outputs, |weights|, an input of ones",
          "Tanaka et al. 2020", "nothing", "synflow", 1, True),
    Proxy("synflow_raw", "synflow without the log", "Tanaka et al. 2020", "nothing", "synflow"),
    Proxy("logsynflow", "sum of |weight| times log(gradient + 1), as for synflow", "Cavagnero et al. 2023",
          "nothing", "synflow"),
    Proxy("zen", "log of the change of features under noise, of a network with normal weights, with batch norm's scales",
          "Lin et al. 2021", "nothing", "noise", 1, True),
    Proxy("swap", "different patterns over the batch that activations have", "Peng et al. 2024 (SWAP-NAS)", "data", "gradients"),
    Proxy("meco", "smallest eigenvalue of the correlations between a map's channels, summed over layers",
          "Jiang et al. 2023", "nothing", "features", 1, True),
    Proxy("az_expressivity", "entropy of the spectrum of block outputs for noise, summed over blocks",
          "Lee and Ham 2024 (AZ-NAS)", "nothing", "features"),
    Proxy("az_progressivity", "smallest increase of that entropy from block to block", "Lee and Ham 2024 (AZ-NAS)",
          "nothing", "features", 1, True),
    Proxy("az_trainability", "how near the spectral norms of the blocks' Jacobians are to 1, 0 at best",
          "Lee and Ham 2024 (AZ-NAS)", "nothing", "features", 1, True),
    Proxy("nregions", "different activation patterns among 1,000 small noise inputs", "Chen et al. 2021 (TE-NAS)",
          "nothing", "regions"),
    Proxy("synflow_normalised", "synflow_raw per parameter", "Heuillet 2023 (DARIO)", "nothing", "synflow"),
    Proxy("l0", "mean number of non-zero entries of a parameter tensor after one step", "Heuillet 2023 (DARIO)",
          "nothing", "step"),
    Proxy("l1", "mean sum of absolute values of a parameter tensor after one step", "Heuillet 2023 (DARIO)",
          "nothing", "step"),
    Proxy("l2", "mean Euclidean norm of a parameter tensor after one step", "Heuillet 2023 (DARIO)", "nothing", "step"),
    Proxy("param_variance", "variance of all parameters after one step", "Heuillet 2023 (DARIO)", "nothing", "step", -1),
    Proxy("l0_var", "l0 minus 22,516,549.4 times param_variance", "Heuillet 2023 (DARIO)", "nothing", "step", 1, True),
    Proxy("l1_var", "l1 minus 2,335,376.4125 times param_variance", "Heuillet 2023 (DARIO)", "nothing", "step", 1, True),
    Proxy("l0_l1", "l0 plus 9.718490934 times l1", "Heuillet 2023 (DARIO)", "nothing", "step"),
)  # fmt: skip

PROXIES: Mapping[str, Proxy] = {proxy.name: proxy for proxy in _EVERY}
"""All proxies of one network, by name."""
