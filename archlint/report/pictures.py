"""The full report as a terminal shows it, with its colours: an SVG picture, or a page of HTML.

Neither asks anything of another place: Rich's own formats fetch a font.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from html import escape

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.terminal_theme import SVG_EXPORT_THEME

_COLUMNS = 112
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>TITLE</title>
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px "Fira Code", Menlo, Consolas, monospace }}
.{unique_id}-title {{ font: bold 18px sans-serif }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
_HTML = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>TITLE</title>
<style>
body {{ color: {foreground}; background: {background}; margin: 1rem }}
pre {{ font: 14px/1.4 "Fira Code", Menlo, Consolas, monospace; overflow-x: auto }}
{stylesheet}
</style>
</head>
<body>
<pre>{code}</pre>
</body>
</html>
"""


def svg(content: RenderableType, *, title: str) -> str:
    """``content`` in a window with a title; as wide as its longest line, which is never cut."""
    console = _recorded(content)
    lines = console.export_text(clear=False).splitlines()
    console.width = max(_COLUMNS, *map(cell_len, lines))
    return console.export_svg(title=title, theme=SVG_EXPORT_THEME, code_format=_titled(_SVG, title))


def html(content: RenderableType, *, title: str) -> str:
    """``content`` on a page of its own."""
    return _recorded(content).export_html(theme=SVG_EXPORT_THEME, code_format=_titled(_HTML, title))


BY_SUFFIX: Mapping[str, Callable[..., str]] = {".svg": svg, ".html": html, ".htm": html}
"""What makes a file with this ending."""


def _titled(page: str, title: str) -> str:
    return page.replace("TITLE", escape(title).replace("{", "{{").replace("}", "}}"))


def _recorded(content: RenderableType) -> Console:
    console = Console(
        file=io.StringIO(),
        record=True,
        width=_COLUMNS,
        force_terminal=True,
        force_jupyter=False,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    console.print(content, soft_wrap=True)
    return console
