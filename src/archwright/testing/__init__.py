"""Conformance kits: what every implementation of a contract must do, as classes of pytest tests.

A kit is used by inheriting its class and giving its one fixture::

    class TestMySearcher(SearcherContract):
        @pytest.fixture
        def make(self):
            return lambda space, goal, seed: MySearcher(space, goal, seed=seed)
"""
