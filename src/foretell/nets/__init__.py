"""From a row to an `nn.Module`: one builder per space. The first room where torch is imported."""
