"""Settings of a project: what their keys take, and the file that they are in."""
