"""A run is a folder: journal, continue, best model."""
