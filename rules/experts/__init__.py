"""Experts, routers and gates."""
