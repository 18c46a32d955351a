"""Saving, sharding and serving."""
