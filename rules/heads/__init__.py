"""Heads and embeddings."""
