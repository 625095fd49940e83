"""What several trackers are made of."""
