"""Readers of published benchmarks, one a file: official files -> `Benchmark`.

They know their space and `tables.base`, and nothing of `Table`; only the catalog knows them.
"""
