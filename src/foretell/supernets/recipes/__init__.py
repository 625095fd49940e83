"""Published methods as recipes of a few lines: each names its parts, and nothing more.

A recipe is a function whose arguments are the settings of the paper; it returns a `Method`, or a
`Method` and a `Wrapper`. A combination that nobody has published is one more expression of this
kind.
"""
