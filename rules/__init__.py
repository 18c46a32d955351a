"""The built-in rules: one file, one rule; a folder is a family."""
