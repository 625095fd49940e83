"""Evaluators turn rows into results: `Table` looks them up, `Trainer` really trains them."""

from foretell.evaluators.base import Evaluator
from foretell.evaluators.table import Table

__all__ = ["Evaluator", "Table"]
