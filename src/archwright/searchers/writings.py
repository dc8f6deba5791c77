"""Of the many writings of one network, one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archwright.space import Architecture, Space


class Writings:
    """Tells networks apart by :attr:`Space.identities`; where a space has none, every architecture is a network of its own."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._identity: dict[Architecture, int] = {}

    def different(self, candidates: Sequence[Architecture], taken: Iterable[Architecture]) -> list[Architecture]:
        """Candidates without other writings of the networks in ``taken``, and the first writing of each."""
        identify = self.space.identities
        if identify is None or not candidates:
            return list(candidates)
        taken = list(taken)
        unread = [a for a in (*taken, *candidates) if a not in self._identity]
        if unread:
            self._identity.update(zip(unread, identify(self.space.codes(unread)).tolist()))
        numbers = {self._identity[a] for a in taken}
        one_each = {self._identity[a]: a for a in reversed(candidates)}
        return [a for number, a in reversed(one_each.items()) if number not in numbers]
