"""What is alike is run once, the order is the list's, and a result is the same bytes each time."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archlint.core.catalog import Catalog
from archlint.options import Options
from archlint.report import contract
from archlint.scanning import scan as scan_module
from archlint.scanning.ahead import Reading
from archlint.scanning.entries import Entry
from archlint.scanning.index import Index
from archlint.scanning.lines import digest
from archlint.scanning.results import InOrder
from archlint.scanning.scan import Scan
from archlint.sources import SourceOptions

from . import fakes
from .conftest import Here, processes, reasons, reports, scanned

few = settings(max_examples=40)
NAMES = st.lists(st.sampled_from(["a~1", "a~2", "b~1", "c", "d", "gone", "raise~1", "raise~2"]), max_size=12)


@few
@given(NAMES, st.integers(1, 4))
def test_lines_are_in_the_order_of_the_list_whatever_ends_first(sources: list[str], batch: int) -> None:
    scan, lines = scanned(sources, Here(batch))
    assert [one["source"] for one in reports(lines)] == list(dict.fromkeys(sources))
    assert scan.progress.twice == len(sources) - len(set(sources))


@few
@given(NAMES, st.integers(1, 4))
def test_what_is_alike_is_run_once(sources: list[str], batch: int) -> None:
    engine = Here(batch)
    scan, lines = scanned(sources, engine)
    there = {source for source in sources if source != "gone"}
    alike = {source.partition("~")[0] if source[0] in "ab" else source for source in there}
    assert len(engine.ran) == scan.progress.run
    assert len({name.partition("~")[0] for name in engine.ran}) == len({one.partition("~")[0] for one in alike})
    assert scan.progress.alike == len(there) - scan.progress.run
    assert lines == scanned(sources, Here(1))[1]


def test_what_is_alike_has_the_reason_of_the_one_that_was_lost() -> None:
    scan, lines = scanned(["crash~1", "crash~2", "fine", "crash~3"], processes(jobs=1))
    assert set(reasons(lines)) == {"crash~1", "crash~2", "crash~3"}
    assert len(set(reasons(lines).values())) == 1
    assert scan.progress.run == 2


def test_what_has_other_options_is_not_alike() -> None:
    entries = [Entry("a~1"), Entry("a~1", revision="main"), Entry("a~1", subfolder="text"), Entry("a~2")]
    scan, lines = scanned(entries)
    assert [one["source"] for one in reports(lines)] == ["a~1", "a~1", "a~1", "a~2"]
    assert scan.progress.run == 1


def test_what_cannot_be_located_costs_no_other() -> None:
    _, lines = scanned(["gone", "broken", "fine", Entry("list:7", problem="it is no JSON")])
    assert reasons(lines) == {
        "gone": "it is gone",
        "broken": "archlint itself failed: RuntimeError: it is broken",
        "list:7": "it is no JSON",
    }


def test_a_line_is_a_document_of_the_contract_without_times() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    _, lines = scanned(["error", "fine", "gone"])
    for line in lines.splitlines():
        document = json.loads(line)
        jsonschema.validate(document, contract.schema())
        assert document["created"] is None
        assert document["reports"][0]["seconds"] == 0.0
        assert document["scan"].keys() == {"digest", "entry"}


def test_the_tally() -> None:
    scan, _ = scanned(["error", "warning", "info", "gone", "fine", "error~1", "error~2"])
    tally = scan.progress.tally
    assert str(tally) == "7 models: 2 clean, 4 with findings, 1 not checked, 3 errors, 1 warning, 1 info"
    assert tally.rules == {"ARC101": {"error": 3, "warning": 1, "info": 1}}
    assert tally.families == {"net": {"clean": 2, "findings": 4}, "": {"unchecked": 1}}


def test_a_digest_is_of_what_decides_a_result(tmp_path: Path) -> None:
    catalog = Catalog.load()
    options = Options(rules=catalog.select(None), catalog=catalog)
    same = [options, Options(rules=catalog.select(None), catalog=catalog, source=SourceOptions(cache_dir=tmp_path))]
    assert len(set(map(digest, same))) == 1
    others = [
        Options(rules=catalog.select(["ARC1"]), catalog=catalog),
        Options(rules=catalog.select(None), catalog=catalog, prove=False),
        Options(rules=catalog.select(None), catalog=catalog, source=SourceOptions(offline=True)),
        Options(rules=catalog.select(None), catalog=catalog, trainer_arguments={"loss_type": "nll"}),
    ]
    assert len(set(map(digest, [options, *others]))) == 1 + len(others)


def test_a_rule_of_a_file_has_the_digest_of_its_code(tmp_path: Path) -> None:
    digests = set()
    for number, says in enumerate(("one", "other")):
        file = tmp_path / f"{number}.py"
        file.write_text(
            "from archlint.core.finding import Severity\nfrom archlint.core.rule import Rule\n"
            "class Mine(Rule):\n    code, name, severity, why = 'MINE1', 'my-rule', Severity.INFO, 'It is.'\n"
            f"    def check(self, blueprint):\n        return {says!r}\n"
        )
        catalog = Catalog.load([file])
        digests.add(digest(Options(rules=catalog.select(["MINE1"]), catalog=catalog)))
    assert len(digests) == 2


def test_real_models_are_as_check_says(tmp_path: Path) -> None:
    from archlint import engine
    from archlint.scanning import identifying
    from archlint.scanning.forking import Forking
    from archlint.scanning.memory import usage
    from archlint.scanning.processes import Limits, Processes

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 64}
    config = {"model_type": "llama", "num_attention_heads": 2, "num_key_value_heads": 2, **sizes}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    catalog = Catalog.load()
    options = Options(rules=catalog.select(None), catalog=catalog, source=SourceOptions(offline=True))
    sources = [str(tmp_path / "one"), str(tmp_path / "two"), "type:there-is-none"]
    before, fakes.IDENTITY = fakes.IDENTITY, identifying.usual()
    try:
        run = Processes(Forking(), jobs=1, limits=Limits(), usage=usage)
        scan, lines = scanned([*sources, Entry("given", config=config)], run, options=options)
    finally:
        fakes.IDENTITY = before
    assert scan.progress.run == 1, "the same architecture"
    found = reports(lines)
    for source, report in (sources[0], found[0]), (sources[2], found[2]):
        (expected,) = contract.document(engine.finished([engine.check(source, options)]))["reports"]
        assert report == {**expected, "seconds": 0.0}
    for other in (found[1], found[3]):
        assert {**other, "source": "", "model": None} == {**found[0], "source": "", "model": None}


def test_many_alike_keep_nobody_from_looking_after_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "_TURN", 0.0)
    index, written = Index(), list[bytes]()
    work = Scan(
        Reading((Entry(f"a~{number}") for number in range(30)), 10),
        options=lambda _: Options(),
        identity=fakes.IDENTITY,
        engine=Here(),
        results=InOrder(written.append),
        index=index,
        told_twice=lambda _: None,
    )
    done = [0]
    for _ in work.run():
        done.append(work.progress.tally.models)
    assert done[-1] == 30
    assert max(later - earlier for earlier, later in itertools.pairwise(done)) < 5
    assert [one["source"] for one in reports(b"".join(written))] == [f"a~{number}" for number in range(30)]
    index.close()
