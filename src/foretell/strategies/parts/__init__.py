"""What strategies are made of: fresh rows."""
