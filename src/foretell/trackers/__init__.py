"""A run, seen elsewhere: one tracker per file, its package imported when it is asked for.

`base` says what a tracker is (`Watcher`) and which of them a run has (`watch`). They are told
plain events, as lines of the journal, and keep what follows from these alone: they know no driver
and no folder's format, and runs may import them.
"""
