"""The parsers of what strangers write: each takes bytes, and may refuse them in one way only."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from archlint import baselines
from archlint.cli.rendering import FORMATS
from archlint.core.catalog import Catalog
from archlint.core.comparison import Difference
from archlint.core.report import Run
from archlint.identity import Located
from archlint.options import Options
from archlint.plans import PlanError, read_plan_file
from archlint.reading import ReadingError, read
from archlint.report import stored
from archlint.report.values import DocumentError
from archlint.scanning import entries
from archlint.settings import file as settings_file
from archlint.settings.forms import Form
from archlint.sources import SourceError, SourceOptions, custom_code, resolve, tensors
from archlint.suppressions import comments
from tests.fuzzing import rendered, seeds


class BrokenPromiseError(AssertionError):
    """What a parser gave is not what it says."""


@dataclass(frozen=True)
class Target:
    """Something that reads bytes."""

    read: Callable[[bytes], object]
    """Raises nothing, whatever it is given: what the parser may raise is caught in it."""
    seeds: Callable[[], tuple[bytes, ...]]
    """Gives what it is meant to read."""


@contextlib.contextmanager
def _file(data: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="archlint-fuzzing-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


def _refuses(error: type[Exception]) -> Callable[[Callable[..., object]], Callable[..., None]]:
    """Makes a reader of one that refuses by ``error``, whose message is text."""

    def decorate(read: Callable[..., object]) -> Callable[..., None]:
        @functools.wraps(read)
        def reader(data: bytes, **arguments: str) -> None:
            try:
                read(data, **arguments)
            except error as refusal:
                if not str(refusal).strip():
                    raise BrokenPromiseError(f"{error.__name__} says nothing") from refusal

        return reader

    return decorate


@_refuses(SourceError)
def config(data: bytes) -> None:
    """A config.json, up to what is built."""
    with _file(data, "config.json") as path:
        source = resolve(str(path), SourceOptions(offline=True))
        located = Located(str(path), source)
        located.architecture(Options())


@_refuses(PlanError)
def plan(data: bytes, name: str) -> None:
    """A file of settings, and its change."""
    with _file(data, name) as path:
        file = read_plan_file(path)
        list(file.remarks())
        json.dumps([file.trainer_arguments, [str(trainer) for trainer in file.trainers or ()], file.base_model])
        if not file.reading.waits:
            old = dict(file.reading.arguments)
            json.dumps(old)
            with contextlib.suppress(PlanError):
                changed = file.changed(old, {**old, "target_modules": ["q_proj", "x"]})
                file.diff(changed)


KEYS = {
    "select": settings_file.Key(Form.CODES),
    "ignore": settings_file.Key(Form.CODES),
    "scope": settings_file.Key(Form.WORD),
    "format": settings_file.Key(Form.WORD, of_source=False),
    "no-prove": settings_file.Key(Form.FLAG),
    "trainer": settings_file.Key(Form.WORDS),
    "trainer-args": settings_file.Key(Form.ARGUMENTS),
}


@_refuses(settings_file.SettingsError)
def settings(data: bytes, name: str) -> None:
    """A file of archlint's settings."""
    with _file(data, name) as path:
        found = settings_file.read(path, KEYS, {"baseline"})
        list(found.patterns("google/gemma-2b"))


@_refuses(DocumentError)
def report(data: bytes) -> None:
    """A stored report, in every format, and beside itself."""
    with _file(data, "report.json") as path:
        runs = stored.read(path)
        texts = {style: _rendered(runs[0], style) for style in FORMATS}
        for problem in rendered.problems(texts):
            if not problem.startswith("json"):  # whoever wrote it may have words of his own
                raise BrokenPromiseError(problem)
        for style in ("full", "concise", "json", "markdown"):
            _compared(runs[0], style)


def _rendered(run: Run, style: str) -> str:
    from archlint.cli.rendering import render

    return render(run, style=style, fail_on=None, catalog=_catalog(), options={}, output=None)


def _compared(run: Run, style: str) -> str:
    from archlint.cli.comparing import render_difference

    other = Run(run.environment, run.reports[1:], run.created)
    difference = Difference.of(run, other)
    return render_difference(difference, style=style, fail_on=None, catalog=_catalog(), options={}, output=None)


@functools.cache
def _catalog() -> Catalog:
    return Catalog.load()


@_refuses(baselines.BaselineError)
def baseline(data: bytes) -> None:
    """A file of known findings."""
    with _file(data, "known.json") as path:
        assert baselines.Baseline.read(path).text


def scan_list(data: bytes) -> None:
    """A list of models."""
    assert all(entry.id for entry in entries.listed(io.BytesIO(data), "list"))


@_refuses(SourceError)
def weights(data: bytes) -> None:
    """The header of an adapter's weights."""
    with _file(data, "adapter_model.safetensors") as path:
        json.dumps(tensors.shapes(path))


def code(data: bytes) -> None:
    """A model's own code: what it imports, and what its comments say to archlint."""
    text = data.decode("utf-8", "replace")
    list(custom_code.relative_imports(text, "modeling.py"))
    list(comments("modeling.py", text))


@_refuses(ReadingError)
def modeling(data: bytes) -> None:
    """The module of a repository that makes its model, as it is read."""
    config = json.loads((_REPOSITORY / "config.json").read_text(encoding="utf-8"))
    with _file(data, "modeling_clipped.py") as path:
        shutil.copy(_REPOSITORY / "configuration_clipped.py", path.parent)
        read(config, path.parent)


_REPOSITORY = Path(str(files("archlint.fixtures") / "repositories" / "clipped_like"))
_CODE = b"""from . import configuration
from .layers import x

# archlint: ignore[ARC101, ARC303] it stays frozen
class Router(nn.Linear):  # archlint: ignore[tuple-output] -- known  # noqa
    pass
"""
_HEADER = b'{"base_model.model.q.lora_A.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}'
_WEIGHTS = len(_HEADER).to_bytes(8, "little") + _HEADER + bytes(4)
_BASELINE = b"""{"schema": "archlint/baseline/v1", "findings": [{"source": "a/b", "asked": "", "code": "ARC101",
"fingerprint": "0123", "severity": "error", "message": "x"}]}"""


def _configs() -> tuple[bytes, ...]:
    return tuple(json.dumps(config).encode() for config in seeds.configs().values() if len(config) > 1)


def _report() -> tuple[bytes, ...]:
    return (seeds.report().encode(),)


def _written(texts: Mapping[str, str], *suffixes: str) -> Callable[[], tuple[bytes, ...]]:
    return lambda: tuple(text.encode() for name, text in texts.items() if name.endswith(suffixes))


def _plans(suffix: str) -> Target:
    name = "adapter_config.json" if suffix == ".json" else f"plan{suffix}"
    return Target(functools.partial(plan, name=name), _written(seeds.PLANS, suffix))


TARGETS: Mapping[str, Target] = {
    "config": Target(config, _configs),
    "plan-json": _plans(".json"),
    "plan-yaml": _plans(".yml"),
    "plan-python": _plans(".py"),
    "plan-shell": _plans(".sh"),
    "settings": Target(functools.partial(settings, name="archlint.toml"), _written(seeds.SETTINGS, "archlint.toml")),
    "pyproject": Target(functools.partial(settings, name="pyproject.toml"), _written(seeds.SETTINGS, "pyproject.toml")),
    "report": Target(report, _report),
    "baseline": Target(baseline, lambda: (_BASELINE,)),
    "list": Target(scan_list, _written(seeds.LISTS, ".txt", ".jsonl")),
    "weights": Target(weights, lambda: (_WEIGHTS,)),
    "code": Target(code, lambda: (_CODE,)),
    "modeling": Target(modeling, lambda: ((_REPOSITORY / "modeling_clipped.py").read_bytes(),)),
}
"""All of them by name."""
