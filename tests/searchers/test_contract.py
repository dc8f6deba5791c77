"""Every searcher of the catalogue keeps the contract."""

from __future__ import annotations

import pytest

from archwright.errors import SettingsError
from archwright.searchers import SEARCHERS, make_searcher
from archwright.testing.searchers import GOAL, Make, SearcherContract, toy_space

QUICKER = {
    "surrogate-bo": {"surrogate": "ridge"},
    "ensemble-bo-thesis": {"members": 2, "batch": 8, "low_epochs": 1, "high_epochs": 2},
}


@pytest.mark.parametrize("name", SEARCHERS)
class TestCatalogue(SearcherContract):
    @pytest.fixture
    def make(self, name: str) -> Make:
        return lambda space, goal, seed: make_searcher(name, space, goal, seed=seed, **QUICKER.get(name, {}))


def test_all_searchers_of_one_seed_start_alike():
    starts = {make_searcher(name, toy_space(), GOAL, seed=5).ask(1)[0] for name in SEARCHERS}
    assert len(starts) == 1


def test_unknown_searcher_names_near_ones():
    with pytest.raises(SettingsError, match="did you mean ls"):
        make_searcher("lss", toy_space(), GOAL)


def test_unknown_option_is_named():
    with pytest.raises(SettingsError, match="unknown option 'populaton'; did you mean population"):
        make_searcher("rea", toy_space(), GOAL, populaton=3)


@pytest.mark.parametrize(
    ("name", "options"), [("ls", {"explore": "all"}), ("ls", {"revisits": "no"}), ("rea", {"population": 0})]
)
def test_impossible_options_are_refused(name, options):
    with pytest.raises(SettingsError):
        make_searcher(name, toy_space(), GOAL, **options)
