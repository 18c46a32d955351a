"""What is kept of the rules: it spares importing them, and is never believed when they may be others by now."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from archlint import rule_index
from archlint.core.catalog import Catalog
from archlint.store import Store

ROOT = Path(__file__).parent.parent
RULES = {"archlint.core.rule", "archlint.core.blueprint", "archlint.rules", "importlib.metadata"}
"""Modules that take long, or are imported by those that do."""
NOWHERE = os.devnull
"""A place for a cache where nothing can be kept."""
BEFORE = 946_684_800
"""The year 2000, in seconds: a file that was changed then is not being written at the moment."""

CALL = """
import sys
import atexit
def tell(modules):
    with open(modules, "w") as file:
        print(*sys.modules, file=file)
atexit.register(tell, sys.argv.pop())
from archlint.cli import main
main()
"""

RULE = """
from archlint import Rule
from archlint.core.finding import Severity
from plugged.words import WHY

class One(Rule):
    '''A rule of somebody else's.'''
    code, name, severity, why = "PLG001", "one", Severity.INFO, WHY

    def check(self, blueprint):
        yield self.finding("seen")
"""


class Done(NamedTuple):
    """What a call came to."""

    code: int
    output: str
    errors: str
    loaded: set[str]
    """Those of ``RULES`` that it imported."""


class Machine:
    """Calls of archlint in new processes, with a cache and a folder of installed plugins of their own."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.plugins, self._modules = folder / "cache", folder / "plugins", folder / "modules"
        self.plugins.mkdir()

    def call(self, *arguments: str, first: str = "", **environment: str) -> Done:
        """``archlint`` with ``arguments``, after some lines of Python."""
        known = {
            "ARCHLINT_CACHE_DIR": str(self.cache),
            "ARCHLINT_CACHE_LIMIT": "1G",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{self.plugins}",
        }
        done = subprocess.run(
            [sys.executable, "-c", first + CALL, *arguments, str(self._modules)],
            cwd=self.plugins.parent,
            env={**os.environ, **known, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        modules = self._modules.read_text().split()
        return Done(done.returncode, done.stdout, done.stderr, RULES.intersection(modules))

    def codes(self) -> set[str]:
        """Those of the rules that are listed."""
        return {line.split()[0] for line in self.call("rules").output.splitlines()}

    @property
    def is_filled(self) -> bool:
        return not self.call("rules").loaded

    def write(self, name: str, text: str, changed: float = BEFORE) -> None:
        """A file among the plugins."""
        path = self.plugins / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (changed, changed))

    def install(self, package: str, metadata: str | None = None) -> None:
        """Register a package that is written, as an installer does."""
        name = metadata or f"{package}-1.0.dist-info"
        self.write(f"{name}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        self.write(f"{name}/entry_points.txt", f"[archlint.rules]\nthem = {package}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def plugged(machine: Machine) -> Machine:
    """With a plugin, whose rule is known."""
    machine.write("plugged/__init__.py", "")
    machine.write("plugged/one.py", RULE)
    machine.write("plugged/words.py", 'WHY = "It matters."')
    machine.install("plugged")
    assert "PLG001" in machine.codes()
    assert machine.is_filled
    return machine


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    assert machine.call("rules").loaded == RULES
    return machine


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", "--help"],
        ["rules"],
        ["rules", "--format", "json"],
        ["rules", "--format", "markdown"],
        ["explain", "ARC101"],
        ["explain", "Wrapped-Linear", "--format", "json"],
        ["explain", "arc902", "--format", "markdown"],
        ["explain", "ARC1O1"],
        ["some/model", "--select", "ARC1O1"],
        ["some/model", "--scope", "nothing"],
    ],
    ids=" ".join,
)
def test_what_is_kept_says_the_same_without_a_rule(filled: Machine, arguments: list[str]) -> None:
    kept = filled.call(*arguments)
    assert kept.loaded == set()
    assert filled.call(*arguments, ARCHLINT_CACHE_DIR=NOWHERE)[:3] == kept[:3]


def test_pages_are_the_same(filled: Machine, tmp_path: Path) -> None:
    for name, cache in (("kept", str(filled.cache)), ("loaded", NOWHERE)):
        (tmp_path / name).mkdir()
        command = ["rules", "--format", "markdown", "--output", str(tmp_path / name)]
        assert filled.call(*command, ARCHLINT_CACHE_DIR=cache).code == 0
    kept, loaded = (sorted((tmp_path / name).iterdir()) for name in ("kept", "loaded"))
    assert [path.name for path in kept] == [path.name for path in loaded] != []
    assert [path.read_text() for path in kept] == [path.read_text() for path in loaded]


def test_who_wants_nothing_kept_has_rules_loaded(filled: Machine) -> None:
    assert filled.call("rules", ARCHLINT_CACHE_LIMIT="0").loaded


def test_files_are_loaded_each_time(filled: Machine, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(RULE.replace("PLG001", "MINE1").replace("from plugged.words import WHY", "WHY = 'It is.'"))
    assert "MINE1" in filled.call("rules", "--load", str(file)).output
    assert "MINE1" not in filled.codes()


CHANGES: dict[str, tuple[Callable[[Machine], None], set[str]]] = {
    "a rule": (lambda it: it.write("plugged/one.py", RULE.replace("001", "002"), BEFORE + 1), {"PLG002"}),
    "a rule, by its length alone": (lambda it: it.write("plugged/one.py", RULE.replace("001", "0010")), {"PLG0010"}),
    "a rule goes": (lambda it: (it.plugins / "plugged" / "one.py").unlink(), set()),
    "one more": (
        lambda it: it.write("plugged/two.py", RULE.replace("001", "002").replace('"one"', '"two"')),
        {"PLG001", "PLG002"},
    ),
    "the plugin goes": (lambda it: shutil.rmtree(it.plugins / "plugged-1.0.dist-info"), set()),
    "another plugin": (
        lambda it: (
            it.write("other.py", RULE.replace("001", "002").replace('"one"', '"two"')),
            it.install("other", "other.egg-info"),
        )[0],
        {"PLG001", "PLG002"},
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_rules_that_changed_are_loaded(plugged: Machine, change: str) -> None:
    make, codes = CHANGES[change]
    make(plugged)
    assert {code for code in plugged.codes() if code.startswith("PLG")} == codes
    assert plugged.is_filled


def test_what_tools_leave_in_a_package_is_no_change(plugged: Machine) -> None:
    plugged.write("plugged/__pycache__/one.pyc", "")
    plugged.write("plugged/.cache/one", "")
    assert plugged.is_filled


def test_what_a_rule_imports_from_its_package_is_part_of_it(plugged: Machine) -> None:
    plugged.write("plugged/words.py", 'WHY = "It does not."', BEFORE + 1)
    assert json.loads(plugged.call("explain", "one", "--format", "json").output)["why"] == "It does not."


def test_an_entry_point_that_is_written_over_in_place_is_seen(machine: Machine) -> None:
    machine.write("one.py", RULE.replace("from plugged.words import WHY", "WHY = 'It is.'"))
    machine.write("two.py", RULE.replace("from plugged.words import WHY", "WHY = 'It is.'").replace("001", "002"))
    machine.install("one", "it.egg-info")
    assert "PLG001" in machine.codes()
    assert machine.is_filled
    machine.write("it.egg-info/entry_points.txt", "[archlint.rules]\nthem = two\n", BEFORE + 1)
    assert {"PLG001", "PLG002"} & machine.codes() == {"PLG002"}


def test_a_package_that_stands_before_a_plugin_now_is_seen(plugged: Machine, tmp_path: Path) -> None:
    nearer = tmp_path / "nearer"
    shutil.copytree(plugged.plugins / "plugged", nearer / "plugged")
    (nearer / "plugged" / "one.py").write_text(RULE.replace("001", "002"))
    path = os.pathsep.join(map(str, (ROOT, nearer, plugged.plugins)))
    assert "PLG002" in plugged.call("rules", PYTHONPATH=path).output


@pytest.mark.parametrize(
    "first",
    [
        "import archlint; archlint.__version__ = '999'",
        "import sys; sys.version += ' of another build'",
    ],
)
def test_what_another_version_kept_is_not_read(filled: Machine, first: str) -> None:
    assert filled.call("rules", first=first).loaded
    assert filled.is_filled


def test_nothing_is_kept_where_packages_are_found_elsewhere_too(machine: Machine) -> None:
    first = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(*_): return None\n"
        "    def find_distributions(*_): return []\n"
        "sys.meta_path.append(Finder())\n"
    )
    for _ in range(2):
        assert machine.call("rules", first=first).loaded


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b'"rules"',
        b"{}",
        b'{"origins": {}, "rules": []}',
        b'{"origins": {"packages": {}, "folders": {}, "files": {}}, "rules": []}',
        b'{"origins": {"packages": {}, "folders": {}, "files": {}}, "rules": [{"code": "ARC101"}]}',
        b'{"origins": {"packages": {}, "folders": {}, "files": {"x": [1, 2, 3]}}, "rules": []}',
        b'{"origins": {"packages": {}, "folders": {}, "files": {}}, "rules": [1]}',
        b'{"origins": {"packages": {}, "folders": {}, "files": {}}, "rules": 1}',
    ],
)
def test_content_that_nobody_wrote_is_not_read(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLINT_CACHE_LIMIT", "1G")
    monkeypatch.setattr(Store, "get", lambda *_: content)
    assert rule_index.read() is None


def test_what_cannot_be_read_costs_a_load(filled: Machine) -> None:
    before = filled.call("rules", "--format", "json")
    for file in (filled.cache / "results").glob("*.result"):
        Store(file.parent).put(file.stem, b"{}")
    after = filled.call("rules", "--format", "json")
    assert after[:3] == before[:3]
    assert after.loaded
    assert filled.is_filled


def test_a_plugin_that_cannot_be_loaded_is_told_each_time(plugged: Machine) -> None:
    plugged.write("plugged/two.py", "import no_such_module")
    for _ in range(2):
        done = plugged.call("rules")
        assert "PLG001" in done.output
        assert done.errors.startswith("warning: rule plugin plugged.two: ModuleNotFoundError: ")


def test_a_rule_that_is_known_and_cannot_be_loaded_any_more_is_told_by_a_check(plugged: Machine) -> None:
    broken = "import sys; sys.modules['plugged.words'] = None"
    done = plugged.call("type:gpt2", "--no-prove", "--format", "concise", "--offline", first=broken)
    assert done.code == 3
    assert "unchecked a rule plugin: rule plugin plugged.one: ModuleNotFoundError: " in done.output


def test_an_example_that_cannot_be_shown_is_no_reason_to_list_nothing(plugged: Machine) -> None:
    example = "from archlint import Example\n"
    fires = '    fires = [Example("toy:no_such.Toy", says="it is so")]\n\n    def check'
    plugged.write("plugged/one.py", example + RULE.replace("    def check", fires), BEFORE + 1)
    for _ in range(2):
        assert "PLG001" in plugged.codes()
        assert plugged.call("explain", "PLG001").code == 3


def test_a_file_that_may_be_changing_still_is_not_kept(plugged: Machine) -> None:
    plugged.write("plugged/one.py", RULE.replace("001", "002"), changed=plugged.cache.stat().st_mtime + 3600)
    for _ in range(2):
        done = plugged.call("rules")
        assert "PLG002" in done.output
        assert done.loaded


def test_what_was_imported_before_may_be_older_than_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLINT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ARCHLINT_CACHE_LIMIT", "1G")
    Catalog.load()
    assert rule_index.load().rules
    assert not (tmp_path / "cache").exists()
