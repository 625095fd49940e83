"""What strategies are made of: fresh rows, brackets of rows that are trained further and further.

Strategies, and nobody below them, import these.
"""
