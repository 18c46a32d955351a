"""Renderers: pure functions of a run. ``full`` is for people; ``concise``, ``json`` and ``jsonl`` are for programs.

A renderer only maps what is there; it prints nothing, decides nothing and reads no settings.
"""
