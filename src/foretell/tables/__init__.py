"""Known results: `Table` looks them up by architecture, and the rest of the room reads its files.

`base` says what a published benchmark is, `readers/` has one reader per benchmark, `files/` the
forms in which a table is kept; `finding` recognises a file, `table` is the noun that all others
use, and `convert` writes what was read as one file that opens at once. Evaluators, studies and the
command line may import it; it knows spaces alone, no evaluator and no strategy.
"""
