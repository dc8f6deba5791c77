"""Zero-cost proxies: scores of untrained networks, combinations of them, and how well they rank."""

from archwright.proxies.catalogue import PROXIES, Proxy
from archwright.proxies.scoring import Scores, score

__all__ = ["PROXIES", "Proxy", "Scores", "score"]
