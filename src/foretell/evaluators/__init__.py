"""Evaluators turn rows into results: a table looks them up, `Trainer` really trains them.

One file each, on the contract in `base`; `workers` evaluates many at once, on any kind of executor
(`executors/`). Runs and studies may import this room; it knows spaces, training and tables, no run
and no strategy.
"""
