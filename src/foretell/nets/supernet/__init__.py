"""Networks that hold every option of a space at once, and weigh them.

`mixed` has the weighed operation and the board that all of a network read their weights from; the
others build whole networks of it, with the constructors of `nets.ops` that `build` uses too. They
know nothing of spaces or of how weights are found.
"""
