"""Rules are found in packages and files; what cannot be loaded is named, and never takes the rest with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from archlint.core.catalog import Catalog, RuleLoadError

RULE = """
from archlint import Rule
from archlint.core.finding import Severity

class {title}(Rule):
    '''A rule of somebody else's.'''
    code, name, severity, why = "{code}", "{name}", Severity.INFO, "It matters."

    def check(self, blueprint):
        yield self.finding("seen")
"""


def rule_source(code: str, name: str = "own-rule", title: str = "OwnRule") -> str:
    return RULE.format(code=code, name=name, title=title)


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterable[Install]:
    """Put a distribution with an entry point and modules on the path, as pip would."""
    modules = set(sys.modules)

    def install(target: str, files: dict[str, str]) -> None:
        root = tmp_path / target.replace(":", "-")
        for name, source in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        info = root / f"{root.name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {root.name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[archlint.rules]\nthem = {target}\n")
        monkeypatch.syspath_prepend(root)

    yield install
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_package_brings_the_rules_of_all_its_modules(install: Install) -> None:
    install(
        "plugged",
        {
            "plugged/__init__.py": "",
            "plugged/one.py": rule_source("PLG001", "one", "One"),
            "plugged/deeper/__init__.py": "",
            "plugged/deeper/two.py": rule_source("PLG002", "two", "Two"),
        },
    )
    catalog = Catalog.load()
    assert {"PLG001", "PLG002"} <= set(catalog.rules)
    assert catalog.failures == ()


def test_a_class_alone_can_be_the_entry_point(install: Install) -> None:
    install("plugged:One", {"plugged.py": rule_source("PLG001", "one", "One") + rule_source("PLG002", "two", "Two")})
    assert {"PLG001", "PLG002"} & set(Catalog.load().rules) == {"PLG001"}


def test_what_a_module_only_imports_is_not_its_rule(install: Install) -> None:
    source = "from archlint.core.rule import Rule as Abstract\nfrom plugged.one import One\nPair = tuple[str, str]\n"
    files = {"plugged/__init__.py": "", "plugged/one.py": rule_source("PLG001", "one", "One"), "plugged/two.py": source}
    install("plugged", files)
    assert Catalog.load().failures == ()


@pytest.mark.parametrize(
    ("target", "source", "reason"),
    [
        pytest.param("broken", "1 / 0", "ZeroDivisionError: division by zero", id="it raises"),
        pytest.param("broken", "import no_such_module", "ModuleNotFoundError", id="it needs what is not there"),
        pytest.param("broken:Missing", "", "AttributeError", id="it names what it has not"),
        pytest.param("broken", rule_source("PLG009").replace("why", "because"), "has no why", id="metadata is missing"),
        pytest.param("broken:Other", "class Other: pass", "is no rule", id="something else than a rule"),
        pytest.param("broken", rule_source("OTH001"), "claimed by other and broken", id="the code is taken"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_rest_stands(
    install: Install, target: str, source: str, reason: str
) -> None:
    before = Catalog.load()
    install(target, {"broken.py": source})
    install("other", {"other.py": rule_source("OTH001", "other", "Other")})
    catalog = Catalog.load()
    assert set(catalog.rules) == {*before.rules, "OTH001"}
    [failure] = catalog.failures
    assert f"rule plugin {target}: " in str(failure)
    assert reason in str(failure)


def test_a_broken_module_of_a_package_does_not_take_its_siblings_along(install: Install) -> None:
    files = {
        "plugged/__init__.py": "",
        "plugged/a.py": rule_source("PLG001", "one", "One"),
        "plugged/b/__init__.py": "1 / 0",
        "plugged/c.py": "import no_such_module",
        "plugged/d.py": rule_source("PLG002", "two", "Two"),
    }
    install("plugged", files)
    catalog = Catalog.load()
    assert {"PLG001", "PLG002"} <= set(catalog.rules)
    assert [str(failure).partition(": ")[0] for failure in catalog.failures] == [
        "rule plugin plugged.b",
        "rule plugin plugged.c",
    ]


def test_a_file_brings_its_rules(tmp_path: Path) -> None:
    file = tmp_path / "own_rules.py"
    file.write_text(rule_source("OWN001", "one", "One") + rule_source("OWN002", "two", "Two"))
    catalog = Catalog.load([file])
    assert {"OWN001", "OWN002"} <= set(catalog.rules)
    assert catalog.rules["OWN001"].documentation().summary == "A rule of somebody else's."


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param(None, "no Python file", id="missing"),
        pytest.param("def", "SyntaxError", id="not Python"),
        pytest.param("raise OSError('disk')", "OSError: disk", id="raises"),
        pytest.param("from archlint import Rule", "defines no rule", id="no rule in it"),
        pytest.param(rule_source("OWN001").replace("name", "title"), "has no name", id="metadata is missing"),
        pytest.param(rule_source("OWN001", title="A") + rule_source("OWN001", title="B"), "is claimed", id="twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path, source: str | None, reason: str) -> None:
    file = tmp_path / "own_rules.py"
    if source is not None:
        file.write_text(source)
    with pytest.raises(RuleLoadError, match=reason) as caught:
        Catalog.load([file])
    assert "own_rules.py" in str(caught.value)


def test_a_folder_is_no_rule_file(tmp_path: Path) -> None:
    with pytest.raises(RuleLoadError, match="no Python file"):
        Catalog.load([tmp_path])


@pytest.mark.parametrize("code", ["import sys; sys.exit()", "raise SystemExit('done')"])
def test_a_plugin_that_exits_is_a_broken_one(install: Install, code: str) -> None:
    files = {
        "plugged/__init__.py": "",
        "plugged/a.py": code,
        "plugged/b/__init__.py": code,
        "plugged/c.py": rule_source("PLG001", "one", "One"),
    }
    install("plugged", files)
    catalog = Catalog.load()
    assert "PLG001" in catalog.rules
    assert [str(failure).partition(": S")[0] for failure in catalog.failures] == [
        "rule plugin plugged.a",
        "rule plugin plugged.b",
    ]
    assert all("SystemExit" in str(failure) for failure in catalog.failures)


def test_a_file_that_exits_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "own_rules.py"
    file.write_text("import sys\nsys.exit(0)")
    with pytest.raises(RuleLoadError, match="SystemExit: 0"):
        Catalog.load([file])


def test_what_plugins_and_files_print_stays_off_standard_output(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "plugged/__init__.py": "print('from the package')",
        "plugged/deeper/__init__.py": "import sys; sys.stdout.write('from deeper')",
        "plugged/one.py": "print('from the module')\n" + rule_source("PLG001", "one", "One"),
    }
    install("plugged", files)
    file = tmp_path / "own_rules.py"
    file.write_text("print('from the file')\n" + rule_source("OWN001"))
    catalog = Catalog.load([file])
    assert {"PLG001", "OWN001"} <= set(catalog.rules)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "from the file" in captured.err


def test_plugins_may_print_where_no_stream_is_open(
    install: Install, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    install("plugged", {"plugged.py": "import sys; sys.stdout.write('x')\n" + rule_source("PLG001")})
    catalog = Catalog.load()
    assert (catalog.failures, capsys.readouterr().out) == ((), "")
    assert "PLG001" in catalog.rules
