"""What a sampler is made of: the parameters of a study as rows of a space."""
