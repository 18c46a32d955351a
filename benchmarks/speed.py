"""archlint beside its peers, as ratios of what was measured in one run.

Usage: ``python benchmarks/speed.py [--runs N] [--types N|all] [--readme]``. Prints a table of ratios, which are what
targets are about, and those of the figures themselves and of what follows from them for many models. It takes a quarter
of an hour, and with all model types two hours. ``--readme`` writes the figures into ``speed.json``, and the tables into
README.md and docs/speed.md.

``--runs 0`` measures nothing on single models, and ``--types 0`` no scans: tables then say what ``speed.json`` does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import costs
import pages
import ratios
import stub_hub
from measuring import Command, FailedError, Usage, once, rounds

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "speed.json"
README = HERE.parent / "README.md"
PAGE = HERE.parent / "docs" / "speed.md"
SNAPSHOTS = HERE.parent / "fixtures" / "snapshots"
PACKAGES = ("accelerate", "huggingface_hub", "peft", "torch", "transformers", "trl")

ALIKE = 5000
"""Configs that are alike, for what one of them takes."""
FETCHED = 1000
"""Configs that are fetched, likewise."""
_CHECKED = frozenset({0, 1, 3})
"""Exit codes of a check that came to its end."""


def config(model: str) -> dict[str, Any]:
    """The content of config.json of a bundled snapshot."""
    file = SNAPSHOTS / f"{model.replace('/', '--')}.json"
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["config"]
    return content


def snapshots() -> list[str]:
    """The ids of the bundled snapshots, sorted."""
    return sorted(file.stem.replace("--", "/", 1) for file in SNAPSHOTS.glob("*.json"))


def spread(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, evenly spread over them; all of them where there are no more."""
    count = min(count, len(names))
    return [names[number * len(names) // count] for number in range(count)]


def on_a_model(folder: Path, model: str, hub: str) -> dict[str, Command]:
    """What is run on one model. ``folder`` has its config.json, and takes what archlint keeps."""
    file = str(folder / "config.json")
    check = ("-m", "archlint", str(folder))
    estimate = ("-m", "accelerate.commands.accelerate_cli", "estimate-memory", model)
    at_the_stub = {"HF_ENDPOINT": hub, "HF_HOME": str(folder / "hub")}
    return {
        ratios.NAIVE: Command((str(HERE / "naive.py"), file)),
        "floor": Command((str(HERE / "floor.py"), file)),
        "estimate": Command(estimate, at_the_stub),
        "static": Command((*check, "--no-prove", "--no-cache"), succeeds=_CHECKED),
        "proven": Command((*check, "--no-cache"), succeeds=_CHECKED),
        "cached": Command(check, {"ARCHLINT_CACHE_DIR": str(folder / "kept")}, _CHECKED),
    }


def on_no_model() -> dict[str, Command]:
    """What answers without a model."""
    return {
        ratios.LIBRARIES: Command(("-c", "import click, rich")),
        "help": Command(("-m", "archlint", "--help")),
        "explain": Command(("-m", "archlint", "explain", "ARC101")),
        "rules": Command(("-m", "archlint", "rules")),
    }


def scan(file: Path, *options: str, **environment: str) -> Command:
    """A scan of a list on two cores."""
    arguments = ("-m", "archlint", "scan", str(file), "--jobs", "2", "--offline", *options)
    return Command(arguments, environment, _CHECKED)


def measure_models(runs: int, folder: Path) -> dict[str, dict[str, Usage | str]]:
    """Everything that is about one model, or none."""
    measured = {}
    for name, model in ratios.MODELS.items():
        content = config(model)
        (own := folder / name).mkdir()
        (own / "config.json").write_text(json.dumps(content), encoding="utf-8")
        with stub_hub.serving(content) as hub:
            measured[name] = rounds(on_a_model(own, model, hub.address), runs, folder)
    measured[ratios.START] = rounds(on_no_model(), runs, folder)
    return measured


def measure_types(types: Sequence[str], folder: Path) -> dict[str, Usage | str]:
    """A scan of model types, and the naive loop over them, once each."""
    file = folder / "types.txt"
    file.write_text("".join(f"type:{name}\n" for name in types), encoding="utf-8")
    commands = {
        ratios.LOOP: Command((str(HERE / "naive_loop.py"), str(file))),
        "scan": scan(file, "--no-cache"),
    }
    measured: dict[str, Usage | str] = {}
    for name, command in commands.items():
        try:
            measured[name] = once(command, folder)
        except FailedError as error:
            measured[name] = str(error)
    return measured


def measure_rates(folder: Path) -> costs.Rates:
    """What each further model costs a scan: of many, less what a scan of one takes. The many are the bundled ones.

    Raises:
        FailedError: a scan cannot be run.
    """
    models, dense = snapshots(), config(ratios.MODELS[ratios.DENSE])
    one = _list(folder / "one.jsonl", [(models[0], config(models[0]))])
    many = _list(folder / "many.jsonl", ((model, config(model)) for model in models))
    single = _list(folder / "single.jsonl", [("copy-0", dense)])
    alike = _list(folder / "alike.jsonl", ((f"copy-{number}", dense) for number in range(ALIKE)))
    kept = {"ARCHLINT_CACHE_DIR": str(folder / "kept")}

    first = once(scan(one, "--no-cache"), folder)
    all_models = once(scan(many, **kept), folder)  # keeps its results
    first_again, again = (once(scan(file, **kept), folder) for file in (one, many))
    first_read, read = (once(scan(file, "--no-cache", "--no-prove"), folder) for file in (one, many))
    alone, copies = (once(scan(file, "--no-cache"), folder) for file in (single, alike))
    fetched, requests = _measure_fetching(dense, folder)
    forks = json.loads(_output(str(HERE / "forks.py"), ratios.MODELS[ratios.DENSE], folder=folder))
    further = len(models) - 1
    return costs.Rates(
        proven=(all_models.processor - first.processor) / further,
        static=(read.processor - first_read.processor) / further,
        alike=(copies.processor - alone.processor) / (ALIKE - 1),
        known=(again.processor - first_again.processor) / further,
        fetched=(fetched.processor - alone.processor) / FETCHED,
        requests=requests / FETCHED,
        fork=forks["fork"],
        shared=forks["shared"],
        own=forks["own"],
        largest=all_models.memory,
    )


def _measure_fetching(content: Mapping[str, Any], folder: Path) -> tuple[Usage, int]:
    """A scan of models that are on a hub, which are alike; and how often it asked the hub."""
    names = folder / "fetched.txt"
    names.write_text("".join(f"copies/copy-{number}\n" for number in range(FETCHED)), encoding="utf-8")
    arguments = ("-m", "archlint", "scan", "--hub-list", str(names), "--no-cache", "--jobs", "2")
    with stub_hub.serving(content) as hub:
        environment = {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "0"}
        return once(Command(arguments, environment, _CHECKED), folder), hub.requests


def _list(file: Path, models: Iterable[tuple[str, Mapping[str, Any]]]) -> Path:
    lines = (json.dumps({"source": name, "config": content}) + "\n" for name, content in models)
    file.write_text("".join(lines), encoding="utf-8")
    return file


def _output(*arguments: str, folder: Path) -> str:
    """What a command of Python's prints; this process imports none of what it measures, to stay small."""
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def model_types(folder: Path) -> list[str]:
    """The model types of the installed transformers, sorted."""
    code = "from archlint.sources.model_types import model_types; print(*sorted(model_types()))"
    return _output("-c", code, folder=folder).split()


def surroundings() -> dict[str, str | int]:
    """What figures depend on."""
    python = ".".join(map(str, sys.version_info[:2]))
    packages = {package: version(package).partition("+")[0] for package in PACKAGES}
    return {"cores": os.cpu_count() or 1, "python": python, **packages}


def read(path: Path) -> dict[str, Any]:
    """The figures of a file, as :func:`write` wrote them."""
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for commands in figures["usage"].values():
        commands |= {name: Usage(**used) for name, used in commands.items() if isinstance(used, dict)}
    return {**figures, "rates": costs.Rates(**figures["rates"])}


def write(path: Path, figures: Mapping[str, Any]) -> None:
    """A file of the figures, to four digits."""
    usage = {
        group: {name: used if isinstance(used, str) else _rounded(used._asdict()) for name, used in commands.items()}
        for group, commands in figures["usage"].items()
    }
    content = {**figures, "usage": usage, "rates": _rounded(asdict(figures["rates"]))}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{figure:.4g}") for name, figure in figures.items()}


def tables_of_readme(figures: Mapping[str, Any]) -> dict[str, str]:
    """The table in README.md."""
    return {"speed": ratios.ratios(figures["usage"], figures["types"])}


def tables_of_page(figures: Mapping[str, Any]) -> dict[str, str]:
    """The tables in docs/speed.md."""
    rates = figures["rates"]
    return {
        "surroundings": ", ".join(f"{name} {value}" for name, value in figures["surroundings"].items()),
        "usage": ratios.usage(figures["usage"], figures["types"]),
        "rates": costs.rates_table(rates),
        "scanning": costs.scanning_table(rates),
        "fetching": costs.fetching_table(rates),
    }


def _count(text: str) -> int:
    count = sys.maxsize if text == "all" else int(text)
    if count < 0:
        raise ValueError(text)
    return count


def main() -> None:
    """Measure, print the tables, and write them where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=_count, default=5, metavar="N", help="rounds on each model (%(default)s)")
    parser.add_argument(
        "--types",
        type=_count,
        default=40,
        metavar="N|all",
        help="model types that are scanned, evenly spread over all (%(default)s)",
    )
    parser.add_argument("--readme", action="store_true", help="write speed.json and the tables that follow from it")
    options = parser.parse_args()
    figures = read(FIGURES)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ |= {"ARCHLINT_CACHE_DIR": str(folder / "cache"), "HF_HOME": str(folder / "cache")}
        os.environ.pop("HF_HUB_CACHE", None)
        if options.runs:
            figures["usage"] |= measure_models(options.runs, folder)
            figures |= {"runs": options.runs, "surroundings": surroundings()}
        if options.types:
            types = spread(model_types(folder), options.types)
            figures["usage"][ratios.WIDE] = measure_types(types, folder)
            figures |= {"types": len(types), "rates": measure_rates(folder)}
    tables = tables_of_readme(figures) | tables_of_page(figures)
    print("\n".join(tables.values()))
    if options.readme:
        write(FIGURES, figures)
        pages.write(README, tables_of_readme(figures))
        pages.write(PAGE, tables_of_page(figures))


if __name__ == "__main__":
    main()
