"""Where does a classifier fail? Search of categorical conditions for those with the lowest accuracy."""

from archwright.failures.policies import POLICIES, make_policy
from archwright.failures.search import Exploration, find_failures
from archwright.failures.subdomains import SubdomainTable, coverage, read_subdomains

__all__ = [
    "POLICIES",
    "Exploration",
    "SubdomainTable",
    "coverage",
    "find_failures",
    "make_policy",
    "read_subdomains",
]
