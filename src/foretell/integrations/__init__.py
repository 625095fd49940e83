"""Predictors of foretell in other people's programs: `optuna` has a sampler for Optuna's studies.

Each is one file that needs the package it is for. They use predictors and strategies as any user
does; nothing in foretell imports them.
"""
