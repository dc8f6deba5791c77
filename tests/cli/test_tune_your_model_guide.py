"""The guide docs/tune-your-model.md: its files and commands, run as they stand but smaller."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from archwright.study.load import load_record

GUIDE = (Path(__file__).parents[2] / "docs" / "tune-your-model.md").read_text(encoding="utf-8")
SMALLER = ["--budget", "4", "--epochs", "1", "--final-epochs", "2", "--top", "1", "--workers", "0", "--limit", "150"]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
FILES = {text.split("\n")[0][2:]: text for kind, text in BLOCKS if kind == "python"}
COMMANDS = [line for kind, text in BLOCKS if not kind for line in text.strip().split("\n")]


def run(line: str, folder: Path) -> str:
    """One command of the guide; the limit is wide, so that a busy machine passes too."""
    words = shlex.split(line.replace("latency_ms=0.5", "latency_ms=1000"))
    words[:1] = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "archwright"]
    if "search" in words:
        words += SMALLER
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{line}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_every_command_of_the_guide_works(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    printed = {line: run(line, tmp_path) for line in COMMANDS}
    record = load_record(tmp_path / "runs" / "tuned")
    assert record.final is not None
    assert {b["kind"] for b in record.final["baselines"]} >= {"default"}
    assert (tmp_path / "runs" / "tuned" / "report.html").exists()
    accuracy = float(printed["python use.py"].split()[-1])
    assert accuracy == pytest.approx(record.final["test"]["accuracy"])


def test_guide_has_its_files_and_commands():
    assert set(FILES) == {"net.py", "my_net.py", "use.py"}
    assert [line.split()[1] for line in COMMANDS] == ["profile", "search", "search", "report", "use.py"]
