"""What the rows of ``architectures.jsonl`` come to: which plans are good, and a table of them. Plain data only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Outcome = Mapping[str, Any]

ENOUGH = 0.95
"""The least share of the text weights that a good plan adapts."""

PLANS = {
    "recipe": "archlint's recipe",
    "peft-default": "PEFT's default",
    "all-linear": "`all-linear`",
    "name-list": "the list of names",
    "llama-factory": "LLaMA-Factory",
    "axolotl": "axolotl",
    "unsloth": "unsloth",
    "unsloth-text": "unsloth, vision layers off",
    "ms-swift": "ms-swift",
}
"""The plans of a row, and what a table calls them."""

_BESIDE = {"outside": "towers or connectors", "heads": "heads", "routers": "routers or gates"}
_KINDS = ("refused", "raised", "crashed", "dead", "little", "beside")
_HEADINGS = ("refused by the tool", "raises", "crashes", "dead adapters", "too little", "beside the text")


def is_good(outcome: Outcome | None) -> bool:
    """Whether a plan raises and crashes nothing, trains all that it adapts, and adapts the text and nothing else.

    The text is :data:`ENOUGH` of its weights; else there are towers, connectors, heads and what routes to experts.
    """
    return not any(faults(outcome))


def faults(outcome: Outcome | None) -> Iterator[tuple[str, str]]:
    """What keeps a plan from being good: the kind of fault, and it in a few words."""
    if outcome is None:
        yield "refused", "there is none"
    elif "refused" in outcome:
        yield "refused", outcome["refused"]
    elif "raised" in outcome:
        yield "raised", f"PEFT raises {outcome['raised']}"
    else:
        if "crash" in outcome:
            yield "crashed", f"crashes with {outcome['crash']}"
        elif outcome["forward"] != "ok":
            yield "unrun", "could not be run"
        if dead := outcome.get("dead"):
            yield "dead", f"{dead} of {outcome['adapted']} adapters get no gradient"
        if outcome["coverage"] < ENOUGH:
            yield "little", f"adapts {100 * outcome['coverage']:.2f} % of the text weights"
        for part, words in _BESIDE.items():
            if count := outcome.get(part):
                yield "beside", f"{count} adapters in {words}"


def is_type(row: Row) -> bool:
    """Whether it is a model type with its default config, and no published model."""
    return str(row["name"]).startswith("type:")


def judged(rows: Iterable[Row]) -> list[Row]:
    """The language models that could be built and run."""
    return [row for row in rows if row.get("language") and row.get("runs")]


def table(versions: Mapping[str, str | None], rows: Sequence[Row]) -> str:
    """The rows summed up, as Markdown."""
    types = [row for row in rows if is_type(row)]
    language, published = judged(types), judged(row for row in rows if not is_type(row))
    towers = [row for row in language if row["towers"]]
    built = sum("plans" in row for row in types)
    wanted = sum(bool(row.get("language")) for row in types)
    lines = [
        f"transformers {versions['transformers']}, PEFT {versions['peft']}: {len(types)} model types, of which {built} "
        f"can be built from their default config and judged. {wanted} are language models, and {len(language)} of "
        f"these run.",
        "",
        _line("plan", f"good, of {len(language)}", f"with towers, of {len(towers)}", *_HEADINGS)
        + f" good, of {len(published)} published |",
        _line("---", *["---:"] * (len(_KINDS) + 3)),
    ]
    for plan, label in PLANS.items():
        counted = [sum(kind in dict(faults(row["plans"][plan])) for row in language) for kind in _KINDS]
        good = [sum(is_good(row["plans"][plan]) for row in group) for group in (language, towers, published)]
        lines.append(_line(label, *good[:2], *counted, good[2]))
    lines += ["", "The recipe is not good on:", "", _line("model", "class", "why"), _line("---", "---", "---")]
    for row in (*language, *published):
        if reasons := [words for _, words in faults(row["plans"]["recipe"])]:
            lines.append(_line(f"`{row['name']}`", row["class"], "; ".join(reasons)))
    lines += ["", "Language models that could not be built or run:", ""]
    lines += [_line("model", "why"), _line("---", "---")]
    lines += [_line(f"`{row['name']}`", lack) for row in rows if (lack := _lack(row))]
    return "\n".join(lines) + "\n"


def _lack(row: Row) -> str:
    """Why a language model, or something that was not told to be none, was not judged; empty where it was."""
    lacks = [row[key] for key in ("stopped", "unbuilt", "unjudged", "unrun") if key in row]
    return str(lacks[0]).replace("|", "\\|") if lacks and not row.get("runs") and row.get("language", True) else ""


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
