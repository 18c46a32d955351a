"""Projections that PEFT cannot adapt, or adapts otherwise than expected."""
