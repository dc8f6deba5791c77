"""What a process makes of the environment that torchrun gives it."""

from __future__ import annotations

import os

import pytest

import archwright as aw
from archwright.errors import SettingsError
from archwright.study import torchrun

TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}


def started(monkeypatch, **differing: str) -> None:
    for name, value in (TORCHRUN | differing).items():
        monkeypatch.setenv(name, value)


def test_a_rank_knows_its_place_and_only_the_first_speaks(monkeypatch):
    started(monkeypatch)
    assert torchrun.launched() == torchrun.Launch(1, 2)
    assert not torchrun.is_first()
    monkeypatch.setenv("RANK", "0")
    assert torchrun.is_first()


def test_a_rank_without_torchrun_or_a_single_process_is_no_launch(monkeypatch):
    started(monkeypatch, WORLD_SIZE="1", LOCAL_WORLD_SIZE="1", RANK="0")
    assert torchrun.launched() is None
    started(monkeypatch)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    assert torchrun.launched() is None
    assert torchrun.is_first()


def test_several_machines_are_refused(monkeypatch):
    started(monkeypatch, WORLD_SIZE="4")
    with pytest.raises(SettingsError, match="--nnodes 1"):
        aw.search("cnn", data="digits")


def test_while_rank_0_leads_nothing_it_starts_takes_itself_for_a_rank(monkeypatch):
    started(monkeypatch, RANK="0")
    with torchrun._leading(2):
        assert torchrun.launched() is None
        assert torchrun.wanted_processes(None) == torchrun.wanted_processes(2) == 2
        with pytest.raises(SettingsError, match="torchrun started 2 processes"):
            torchrun.wanted_processes(3)
    assert os.environ["TORCHELASTIC_RUN_ID"] == "x"
    assert (torchrun.wanted_processes(None), torchrun.wanted_processes(3)) == (1, 3)


def test_a_function_of_the_users_own_shares_nothing():
    space = aw.Space(x=aw.Choice(1, 2, 3))
    with pytest.raises(SettingsError, match="function of your own"):
        aw.search(space, evaluate=lambda a: 1.0, objectives={"y": "maximize"}, processes=2)
