"""Single values in YAML."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_RESERVED = re.compile(r"(?i)y|n|yes|no|on|off|true|false|null")


def scalar(data: Any, quote: str | None = None) -> str:
    """``data`` as a YAML scalar, which YAML 1.1 reads as the same; a text in ``quote`` where these fit."""
    if data is None or isinstance(data, bool):
        return json.dumps(data)
    if isinstance(data, float) and not math.isfinite(data):
        return ".nan" if math.isnan(data) else (".inf" if data > 0 else "-.inf")
    if not isinstance(data, str):
        return repr(data)
    if quote is None and _PLAIN.fullmatch(data) and not _RESERVED.fullmatch(data):
        return data
    if not data.isprintable() or (quote == '"' and "\\" not in data):
        return json.dumps(data, ensure_ascii=False)
    return "'" + data.replace("'", "''") + "'"
