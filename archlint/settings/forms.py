"""What a key of a file of settings takes: all that the options of the command line need to know of such files."""

from __future__ import annotations

import enum


class Form(enum.Enum):
    """What a key takes; the value is how a message says it."""

    FLAG = "true or false"
    WORD = "a string"
    WORDS = "a string or a list of strings"
    CODES = "a list of codes, each a string or {code = …, reason = …}"
    ARGUMENTS = "a table of arguments and their values"
