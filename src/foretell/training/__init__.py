"""Real training: frozen recipe, readable loop, data."""
