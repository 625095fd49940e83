"""Figures and the one offline HTML page of a run."""
