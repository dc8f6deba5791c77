"""Look-up tables of blocks as others publish them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from archwright.errors import SettingsError
from archwright.hardware.blocks import ofa_mobilenet_ms, read_blocks

TEXT = """Conv-input:160x160x3-output:80x80x24:
  count: 498
  mean: 0.495
  std: 0.01
Logits-input:1x1x1536-output:1000:
  mean: 0.65
  var: 1.0e-05
"""


@pytest.mark.parametrize("name", ["lut.yaml", "lut.yaml.gz"])
def test_looks_blocks_up(tmp_path, name):
    raw = TEXT.encode()
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    table = read_blocks(tmp_path / name)
    assert table.ms("Conv", (160, 160, 3), (80, 80, 24)) == 0.495
    assert table.ms("Logits", (1, 1, 1536), (1000,)) == 0.65
    with pytest.raises(
        SettingsError, match=r"unknown block 'Conv-input:160x160x3-output:80x80x16'; did you mean Conv-input"
    ):
        table.ms("Conv", (160, 160, 3), (80, 80, 16))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT[: TEXT.index("  mean: 0.65")], "ends before the figures of Logits"),
        (TEXT.replace("  mean: 0.495\n", ""), "line 4: the block before has no mean"),
        (TEXT.replace("0.495", "fast"), "line 3: 'fast' is no time"),
        (TEXT.replace("0.495", "nan"), "line 3: 'nan' is no time"),
        ("[1, 2]\n", "line 1: neither a block"),
        ("", "is it whole"),
    ],
)
def test_names_the_line_that_is_wrong(tmp_path, text, message):
    (tmp_path / "lut.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_blocks(tmp_path / "lut.yaml")


def test_missing_file(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_blocks(tmp_path / "none.yaml")


def test_sums_a_subnet_of_once_for_all(shared_data: Path):
    table = read_blocks(shared_data / "ofa-latency-lut" / "note10_160_lookup_table.yaml")
    assert len(table.times) == 96
    small = ofa_mobilenet_ms(table, 160, [3] * 20, [3] * 20, [2] * 5)
    large = ofa_mobilenet_ms(table, 160, [7] * 20, [6] * 20, [4] * 5)
    assert 0 < small < large / 2
    deeper = ofa_mobilenet_ms(table, 160, [3] * 20, [3] * 20, [2, 2, 2, 3, 2])
    block = table.ms(
        "expanded_conv", (10, 10, 136), (10, 10, 136), expand=408, kernel=3, stride=1, idskip=1, se=1, hs=1
    )
    assert deeper - small == pytest.approx(block)
    with pytest.raises(SettingsError, match="unknown block"):
        ofa_mobilenet_ms(table, 192, [3] * 20, [3] * 20, [2] * 5)
    with pytest.raises(SettingsError, match="5 stages"):
        ofa_mobilenet_ms(table, 160, [3] * 20, [3] * 20, [2] * 4)


def test_reads_the_table_of_nsganetv2(shared_data: Path):
    table = read_blocks(shared_data / "ofa-latency-lut" / "i7-8700K_lut.yaml.gz")
    fields = {"expand": 3, "kernel": 3, "stride": 2, "idskip": 0, "se": 0}
    assert table.ms("MBConv", (100, 100, 16), (50, 50, 24), **fields) == pytest.approx(0.48782, abs=1e-5)
