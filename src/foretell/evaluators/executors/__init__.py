"""Where trials run: one file for each kind of executor, and `base` says what `Workers` needs of it.

`choose` finds the one for an executor, without importing a library that is not in use already.
"""
