"""Evaluators turn rows into results: `Table` looks them up, `Trainer` really trains them."""

from foretell.evaluators.base import Evaluator

__all__ = ["Evaluator"]
