"""What methods on curves share.

`families` has the parametric families and their priors, `scales` brings accuracies and losses to
one scale, `samplers` draw from posteriors of many curves at once. All of it is public.
"""
