"""`best/`: the trained winner of a run, which leaves it and needs nothing else of it.

`best` writes the folder, reads it back and compares; `load` gives its network; `predict` asks it
about new files; `export` writes it for other programs; `card` is its README. `parts/` writes a
network as source that needs torch alone. It knows spaces, networks and data, and no run: runs,
the command line and `foretell.load` import it.
"""
