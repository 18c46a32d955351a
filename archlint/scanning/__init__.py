"""Checking many sources: each model in a process of its own, equal ones once, results that survive a kill."""
