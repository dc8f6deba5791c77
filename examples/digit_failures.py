"""Where does a classifier of digits fail? Test images spoilt in 900 ways, searched for the ways that fool it most.

archwright failures examples/digit_failures.py --budget 120 --out runs/digit_failures.csv
python examples/digit_failures.py
"""

import argparse
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch

import archwright as aw
from archwright.data import DeviceSplit, Split
from archwright.failures import find_failures
from archwright.report import style

PLACES = {
    "everywhere": (slice(None), slice(None)),
    "top": (slice(0, 4), slice(None)),
    "bottom": (slice(4, 8), slice(None)),
    "left": (slice(None), slice(0, 4)),
    "right": (slice(None), slice(4, 8)),
}
space = aw.Space(
    digit=aw.Choice(*range(10)),
    spoilt=aw.Choice("noise", "blur", "fade", "brighten", "invert", "holes"),
    severity=aw.Choice(1, 2, 3, ordered=True),
    place=aw.Choice(*PLACES),
)


@cache
def trained(epochs=15):
    """The classifier under test, and the data that it was trained on."""
    data, family = aw.load_data("digits"), aw.get_family("cnn")
    evaluator = aw.NetworkEvaluator(family, data, aw.Training(epochs=epochs), device="cpu")
    evaluation, network = evaluator.train_fully(family.default or family.space.default)
    if network is None:
        raise RuntimeError(evaluation.reason)
    return network.eval(), data


def blurred(images):
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    return np.mean([padded[..., i : i + 8, j : j + 8] for i in range(3) for j in range(3)], axis=0)


def spoil(images, kind, severity, place, rng):
    """Images (n x 1 x 8 x 8, from 0 to 1), spoilt in one place."""
    if kind == "noise":
        new = images + rng.normal(0, 0.2 * severity, images.shape)
    elif kind == "blur":
        new = images
        for _ in range(severity):
            new = blurred(new)
    elif kind == "fade":
        new = images * (1 - 0.3 * severity)
    elif kind == "brighten":
        new = images + 0.25 * severity
    elif kind == "invert":
        new = images + (1 - 2 * images) * severity / 3
    else:
        new = np.where(rng.random(images.shape) < 0.2 * severity, 0, images)
    result = images.copy()
    at = (..., *PLACES[place])
    result[at] = np.clip(new, 0, 1)[at]
    return result


def evaluate(condition, epochs=15):
    """Share of the test images of one digit that are recognised once they are spoilt."""
    network, data = trained(epochs)
    mine = data.test.targets == condition["digit"]
    rng = np.random.default_rng(zlib.crc32(condition.key.encode()))
    images = data.test.inputs[mine] / data.test.inputs.max()
    images = spoil(images, condition["spoilt"], condition["severity"], condition["place"], rng)
    images = np.rint(images * data.test.inputs.max()).astype(data.test.inputs.dtype)
    split = DeviceSplit(Split(images, data.test.targets[mine]), data, "cpu")
    with torch.inference_mode():
        labels = network(split.prepared(slice(None))).argmax(1)
    return float((labels == split.targets).float().mean())


def draw(explorations, file):
    """Accuracies in the order in which they were found, and their running mean."""
    figure, (axes,) = style.new_figure(7, 3.6)
    for found, colour in zip(explorations, style.PALETTE):
        count = np.arange(1, len(found.accuracies) + 1)
        axes.scatter(count, found.accuracies, s=9, color=colour, alpha=0.5)
        axes.plot(count, np.cumsum(found.accuracies) / count, color=colour, label=f"{found.policy}, mean so far")
    axes.set_xlabel("conditions evaluated")
    axes.set_ylabel("accuracy")
    axes.legend(loc="best")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150, bbox_inches="tight")


def main(budget=120, epochs=15, file=Path("runs/digit_failures.png")):
    network, data = trained(epochs)
    with torch.inference_mode():
        logits = network(DeviceSplit(data.test, data, "cpu").prepared(slice(None)))
    accuracy = (logits.argmax(1).numpy() == data.test.targets).mean()
    print(f"accuracy on the {len(data.test)} test images as they are: {accuracy:.3f}")
    found = [
        find_failures(lambda condition: evaluate(condition, epochs), space, policy=policy, budget=budget)
        for policy in ("greedy-bo", "random")
    ]
    for exploration in found:
        print(f"{exploration.policy}: mean accuracy in {budget} of {space.size} conditions "
              f"{np.mean(exploration.accuracies):.3f}; the worst:")  # fmt: skip
        for condition, value in exploration.worst(5):
            print(f"  {value:.3f}  {condition}")
    draw(found, file)
    print(f"figure: {file}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--budget", type=int, default=120)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("runs/digit_failures.png"))
    given = parser.parse_args()
    main(given.budget, given.epochs, given.out)
