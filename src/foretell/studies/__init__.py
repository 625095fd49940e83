"""Many seeds, one table: comparisons of predictors and of searches."""
