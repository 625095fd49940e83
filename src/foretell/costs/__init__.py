"""What a network costs beyond its parameters and flops: milliseconds.

`latency` measures them here, or has a user's own `command` measure them on another machine, and
fits a predictor where there are too many networks. Parameters and flops are each space's own
(`Space.costs`), counted by `foretell.nets.counts` where they have no closed form. Runs and `NAS`
may import it; spaces take a `Latency` as any callable and do not.
"""
