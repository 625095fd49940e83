"""Many seeds, one table: comparisons of predictors and of searches.

A study measures each method on each seed of a table once, keeps every cell in its folder so that it
goes on where it was ended, and sums up with intervals and tests. Reports and the command line may
import it; it knows methods by their names in the catalog alone.
"""
