"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests run side by side


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public benchmark data, when this machine has one; a test that needs it is skipped elsewhere."""
    named = os.environ.get("ARCHWRIGHT_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no benchmark data here; set ARCHWRIGHT_DATA to a folder that has it")
    return folder
