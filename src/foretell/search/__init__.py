"""The search itself: what is known, ask and tell, the contract of a strategy, ranking a space.

`History` is the only memory, `Search` asks a strategy and is told results, `strategy` says what one
is and proposes, `loop` has it evaluated, on workers of any kind. Strategies, runs and studies may
import it; it knows no strategy by name, no table and no folder, so the same search goes on real
training and on known results.
"""

from foretell.search.asktell import Search
from foretell.search.history import History

__all__ = ["History", "Search"]
