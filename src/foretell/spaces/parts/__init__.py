"""Parts that spaces are built of, and what is said and tried about them.

`layout` (choices and their columns), `grid` (all rows by number), `moves`, `strings`, `views`,
`rows`, `settings`, `limits` and `built` (costs of networks that have to be built) serve every
space; `dag` (NAS-Bench-101) and `recipes` (NAS-Bench-NLP) one; `trials`, `finding` and `reason`
are the checks'.
"""
