"""What trainers do to a model."""
