"""Renderers: pure functions of a run. ``full`` and ``markdown`` are for people, the others for programs.

A renderer only maps what is there; it prints nothing, decides nothing and reads no settings.
"""
