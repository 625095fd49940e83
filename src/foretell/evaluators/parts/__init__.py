"""What workers are made of: one guarded attempt at a trial, and local processes."""
