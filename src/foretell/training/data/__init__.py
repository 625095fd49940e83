"""What networks learn from: `load` reads any source into a `Data` with fixed splits.

`readers` knows the sources, `images` and `sheets` two of their forms, `targets` what is to be
learnt, `scaling` how inputs are normalised, `inputs` how new files are read alike; `batches` takes
a split to the device and is the only one to need torch. It knows nothing of networks or spaces.
"""

from foretell.training.data.dataset import Data, Reading, load
from foretell.training.data.inputs import read_inputs

__all__ = ["Data", "Reading", "load", "read_inputs"]
