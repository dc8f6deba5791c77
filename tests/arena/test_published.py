"""Published comparisons: every part can be run, and the acceptance figures of local search hold."""

from __future__ import annotations

import pytest

from archwright.arena.published import PUBLISHED, reproduce
from archwright.searchers import SEARCHERS


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_part_names_searchers_and_says_what_differs(name):
    for part in PUBLISHED[name].parts:
        assert set(part.published) <= set(SEARCHERS)
        assert part.differs or part.signals == ("val_accuracy@200",)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_part_runs(name, shared_data):
    rows = reproduce(name, data_dir=shared_data, runs=1)["rows"]
    assert len(rows) == sum(len(part.published) for part in PUBLISHED[name].parts)
    assert all(row["ours"]["mean"] is not None for row in rows)


@pytest.mark.slow
def test_local_searches_on_nasbench201_are_as_fast_as_published(shared_data):
    rows = (
        reproduce("lspon-speed", data_dir=shared_data)["rows"][:2]
        + reproduce("lsweights", data_dir=shared_data)["rows"][:2]
    )
    ours = {row["searcher"]: row for row in rows}
    assert 66 <= ours["ls"]["ours"]["mean"] <= 95
    assert 50 <= ours["lspon"]["ours"]["mean"] <= 80
    assert 44 <= ours["lsweights"]["ours"]["mean"] <= 66
    assert all(row["reached"] == 150 for row in rows)
    assert ours["lsweights"]["p_holm_against_ls"] < 0.05
    assert ours["lspon"]["p_holm_against_ls"] < 0.05
