"""The search itself: what is known, ask and tell, the contract of a strategy, ranking a space."""

from foretell.search.asktell import Search
from foretell.search.history import History

__all__ = ["History", "Search"]
