"""What a plan targets, and what it misses."""
