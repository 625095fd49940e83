"""A network as a file of Python that needs torch and nothing else."""
