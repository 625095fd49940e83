"""Formats that several files come in: TensorFlow's records, and pickles read as plain values."""
