"""Real training of one network: `recipe` says how, `loop` does it, `data/` is what it learns from.

`checkpoint` keeps what a broken-off training needs, `augment` changes batches of images, `sghmc`
samples weights. It takes
any `nn.Module`: it knows no space and no evaluator, and all that train may import it.
"""
