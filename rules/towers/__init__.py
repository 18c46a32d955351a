"""Towers and connectors of multimodal models."""
