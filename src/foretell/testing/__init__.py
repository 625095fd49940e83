"""Contract suites: spaces, predictors, evidence, proxies, strategies; for third parties as well.

Each suite is one function that takes a component and raises AssertionError with the promise that it
breaks; the package's own components pass the same ones, one test a row of the catalog. Tests and
the command line may import it, nothing else.
"""
