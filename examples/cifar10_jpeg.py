"""A loader of one's own: CIFAR-10 kept as JPEG files in .npz shards (arrays jpeg, offsets, labels).

archwright search cnn --data examples/cifar10_jpeg.py:load --limit 5000 --budget 10 --epochs 2
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(os.environ.get("ARCHWRIGHT_DATA", "data")) / "cifar10-jpeg"


def shard(path):
    with np.load(path) as file:
        jpeg, ends, labels = file["jpeg"].tobytes(), file["offsets"], file["labels"]
    pieces = [jpeg[a:b] for a, b in zip(ends, ends[1:])]
    return np.stack([np.asarray(Image.open(io.BytesIO(piece))) for piece in pieces]), labels


def load(train_shards=3, test_shards=1):
    def read(name, count):
        parts = [shard(path) for path in sorted(FOLDER.glob(f"{name}-*.npz"))[:count]]
        return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])

    return {"train": read("train", train_shards), "test": read("test", test_shards)}
