"""The benchmark's tables say what was measured, and are in the pages; what is measured runs. Nothing here is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))  # scripts, which find each other beside them

import costs  # noqa: E402
import measuring  # noqa: E402
import pages  # noqa: E402
import ratios  # noqa: E402
import speed  # noqa: E402
import stub_hub  # noqa: E402
from measuring import Command, FailedError, Usage  # noqa: E402

SMALL = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "n_layer": 1,
    "n_embd": 8,
    "n_head": 2,
    "vocab_size": 16,
}


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, *arguments], env=surroundings, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (file := tmp_path / "config.json").write_text(json.dumps(SMALL))
    return file


class TestWhatIsMeasured:
    @pytest.mark.parametrize(("script", "said"), [("floor.py", ""), ("naive.py", "(")])
    def test_a_script_builds_the_model_of_a_config(self, small: Path, script: str, said: str) -> None:
        done = run(str(BENCHMARKS / script), str(small))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(said)
        assert bool(done.stdout) == bool(said)

    def test_the_loop_takes_one_type_after_the_other(self, tmp_path: Path) -> None:
        (file := tmp_path / "types.txt").write_text("type:gpt2\ntype:of-nobody\n")
        done = run(str(BENCHMARKS / "naive_loop.py"), str(file))
        assert (done.returncode, done.stdout) == (0, "2 types, 1 of which raise\n"), done.stderr

    def test_accelerate_estimates_from_the_hub_of_the_benchmark(self, tmp_path: Path) -> None:
        with stub_hub.serving(SMALL) as hub:
            command = speed.on_a_model(tmp_path, "some/model", hub.address)["estimate"]
            done = run(*command.arguments, **command.environment)
        assert done.returncode == 0, done.stderr
        assert "Memory Usage for loading `some/model`" in done.stdout

    def test_that_hub_has_a_config_and_nothing_else(self) -> None:
        with stub_hub.serving(SMALL) as hub:
            with urllib.request.urlopen(f"{hub.address}/any/name/resolve/main/config.json") as answer:
                assert json.load(answer) == SMALL
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"{hub.address}/any/name/resolve/main/tokenizer.json")
            assert hub.requests == 2

    def test_every_comparison_is_of_commands_that_are_run(self, tmp_path: Path) -> None:
        on_a_model = set(speed.on_a_model(tmp_path, "some/model", ""))
        commands = {
            **dict.fromkeys(ratios.MODELS, on_a_model),
            ratios.START: set(speed.on_no_model()),
            ratios.WIDE: {ratios.LOOP, "scan"},
        }
        for comparison in ratios.COMPARISONS:
            assert comparison.command in commands[comparison.group]
            assert comparison.against in commands[comparison.against_group or comparison.group]
        assert set.union(*commands.values()) == set(ratios.LABELS)

    def test_the_models_are_bundled(self) -> None:
        for model in ratios.MODELS.values():
            assert model in speed.snapshots()
            assert speed.config(model)["architectures"]

    @pytest.mark.parametrize(
        ("count", "chosen"), [(1, ["a"]), (2, ["a", "c"]), (3, ["a", "b", "d"]), (5, [*"abcde"]), (9, [*"abcde"])]
    )
    def test_a_sample_is_spread_evenly(self, count: int, chosen: list[str]) -> None:
        assert speed.spread([*"abcde"], count) == chosen


class TestMeasuring:
    def test_commands_run_in_turn_and_once_before_it_counts(self, tmp_path: Path) -> None:
        told = tmp_path / "told"
        commands = {name: Command(("-c", f"open({str(told)!r}, 'a').write({name!r})")) for name in "ab"}
        measured = measuring.rounds(commands, 2, tmp_path)
        assert told.read_text() == "ababab"
        assert all(isinstance(usage, Usage) and min(usage) > 0 for usage in measured.values())

    def test_a_command_that_fails_says_why_and_is_not_run_again(self, tmp_path: Path) -> None:
        script = "open('told', 'a').write('x'); raise ValueError('first\\nlast line')"
        measured = measuring.rounds({"broken": Command(("-c", script))}, 3, tmp_path)
        assert measured == {"broken": "last line"}
        assert (tmp_path / "told").read_text() == "x"

    def test_an_exit_code_may_be_as_good_as_another(self, tmp_path: Path) -> None:
        ends = ("-c", "raise SystemExit(3)")
        measuring.once(Command(ends, succeeds=frozenset({0, 3})), tmp_path)
        with pytest.raises(FailedError, match="exit code 3"):
            measuring.once(Command(ends), tmp_path)

    def test_memory_is_told_in_megabytes(self, tmp_path: Path) -> None:
        assert 300 < measuring.once(Command(("-c", "b'x' * 300_000_000")), tmp_path).memory < 10_000

    def test_each_figure_has_a_median_of_its_own(self) -> None:
        assert measuring.median([Usage(1, 9, 5), Usage(2, 7, 4), Usage(3, 8, 6)]) == Usage(2, 8, 5)


PLAIN = Usage(4.0, 5.0, 400.0)


def measured(**others: Usage | str) -> dict[str, dict[str, Usage | str]]:
    models: dict[str, Usage | str] = dict.fromkeys(("naive", "floor", "estimate", "static", "proven", "cached"), PLAIN)
    start: dict[str, Usage | str] = dict.fromkeys(("libraries", "help", "explain", "rules"), PLAIN)
    groups = {model: {**models, **others} for model in ratios.MODELS}
    return {**groups, ratios.START: start, ratios.WIDE: {"loop": Usage(80, 80, 400), "scan": Usage(18, 10, 500)}}


class TestRatios:
    @pytest.mark.parametrize(
        ("target", "usage", "met"),
        [
            (ratios.Target(1.25), Usage(5, 6.25, 999), True),
            (ratios.Target(1.25), Usage(5.01, 5, 1), False),
            (ratios.Target(1.25), Usage(4, 6.26, 1), False),
            (ratios.Target(1.3, ("memory",)), Usage(99, 99, 520), True),
            (ratios.Target(1.3, ("memory",)), Usage(1, 1, 521), False),
            (ratios.Target(0.05, megabytes=60), Usage(0.2, 0.25, 59), True),
            (ratios.Target(0.05, megabytes=60), Usage(0.2, 0.25, 60), False),
        ],
    )
    def test_a_target_is_kept_up_to_its_limit(self, target: ratios.Target, usage: Usage, met: bool) -> None:
        assert target.is_met(usage, PLAIN) == met

    def test_a_row_has_the_ratios_the_target_and_whether_it_is_met(self) -> None:
        table = ratios.ratios(measured(proven=Usage(5, 5, 600)), types=8)
        assert "| Llama-3.1-8B: `archlint`, cold, fully proven | naive script |" in table
        assert "| 1.25 | 1.00 | 1.50 (600 MB) | ≤ 1.25 | met |" in table
        assert "| DeepSeek-V3: `archlint`, cold, fully proven | Llama-3.1-8B: naive script |" in table
        assert "| 1.25 | 1.00 | 1.50 (600 MB) | memory ≤ 1.3 | not met |" in table
        assert "| 1.00 | 1.00 | 1.00 (400 MB) | ≤ 0.05, below 60 MB | not met |" in table
        assert "| 0.23 | 0.12 | 1.25 (500 MB) | wall ≤ 0.15 | met |" in table
        assert "| 8 model types: `archlint scan --jobs 2`, fully proven | loop of naive scripts |" in table

    def test_what_cannot_be_run_has_no_ratio_and_meets_nothing(self) -> None:
        figures = measured(estimate="RuntimeError: no memory", static="ValueError: so")
        table = ratios.ratios(figures, types=8)
        assert "| fails: RuntimeError |  |  |  |  |" in table
        assert "| fails: ValueError |  |  | ≤ 1.0 | not met |" in table
        assert "| fails: RuntimeError: no memory |  |  |" in ratios.usage(
            measured(estimate="RuntimeError: no memory"), 8
        )

    def test_many_types_are_told_for_each(self) -> None:
        table = ratios.usage(measured(), types=8)
        assert "| a model type: loop of naive scripts | 10.00 s | 10.00 s | 400 MB |" in table
        assert "| a model type: `archlint scan --jobs 2`, fully proven | 2.25 s | 1.25 s | 500 MB |" in table


RATES = costs.Rates(
    proven=1.8,
    static=0.36,
    alike=0.001,
    known=0.002,
    fetched=0.01,
    requests=2,
    fork=0.01,
    shared=450,
    own=100,
    largest=500,
)


class TestCosts:
    @pytest.mark.parametrize(
        ("configs", "distinct", "cores", "prove", "hours"),
        [
            (2000, 2000, 1, True, (3600 + 2) / 3600),
            (2000, 2000, 1, False, (720 + 2) / 3600),
            (2000, 20, 1, True, (36 + 2) / 3600),
            (2000, 2000, 10, True, (3600 + 2) / 10 / 3600),
            (2_000_000, 2000, 16, True, 2000 / 3600),  # all wait for the one that leads
            (2_000_000, 2000, 17, True, 1000 / 3600),  # of which there are two now
        ],
    )
    def test_workers_or_what_leads_them_take_longest(
        self, configs: int, distinct: int, cores: int, prove: bool, hours: float
    ) -> None:
        assert costs.hours(configs, distinct, cores, RATES, prove=prove) == pytest.approx(hours)

    def test_a_hub_is_waited_for_or_its_answers_are_worked_on(self) -> None:
        assert costs.fetching(3600, 1, 0.8, RATES) == pytest.approx(0.1)
        assert costs.fetching(3600, 1, 0.008, RATES) == pytest.approx(0.01)
        assert costs.fetching(3600, 4, 0.8, RATES) == pytest.approx(0.025)

    def test_what_is_known_costs_one_core_of_each_scan(self) -> None:
        assert costs.again(1_800_000, 16, RATES) == pytest.approx(1)
        assert costs.again(1_800_000, 64, RATES) == pytest.approx(0.25)

    @pytest.mark.parametrize(
        ("hours", "said"),
        [
            (0.016, "< 1 min"),
            (1 / 60, "1.0 min"),
            (1.99, "120 min"),
            (2, "2.0 h"),
            (9.97, "10 h"),
            (99.4, "99 h"),
            (240, "10 days"),
            (50_000, "2100 days"),
        ],
    )
    def test_durations_have_two_digits(self, hours: float, said: str) -> None:
        assert costs.duration(hours) == said


def test_rates_are_what_each_model_more_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept: set[str] = set()

    def once(command: Command, folder: Path) -> Usage:
        arguments = list(command.arguments)
        if "--hub-list" in arguments:
            names = Path(arguments[arguments.index("--hub-list") + 1]).read_text().split()
            return Usage(5 + 2 + 0.007 * len(names), 0, 0)
        listed = [json.loads(line) for line in Path(arguments[3]).read_text().splitlines()]
        configs = [json.dumps(line["config"]) for line in listed]
        is_kept = "--no-cache" not in arguments
        new = set(configs) - kept if is_kept else set(configs)
        if is_kept:
            kept.update(configs)
        each = 0.5 if "--no-prove" in arguments else 2
        known = set(configs) - new
        alike = len(configs) - len(set(configs))
        return Usage(5 + each * len(new) + 0.004 * len(known) + 0.003 * alike, 0, 500)

    monkeypatch.setattr(speed, "once", once)
    monkeypatch.setattr(speed, "_output", lambda *_, folder: json.dumps({"fork": 0.05, "shared": 450, "own": 90}))
    monkeypatch.setattr(speed, "snapshots", lambda: [*ratios.MODELS.values()])
    rates = speed.measure_rates(tmp_path)
    assert (rates.fork, rates.shared, rates.own, rates.largest) == (0.05, 450, 90, 500)
    assert rates.proven == pytest.approx(2)
    assert rates.static == pytest.approx(0.5)
    assert rates.alike == pytest.approx(0.003)
    assert rates.known == pytest.approx(0.004)
    assert rates.fetched == pytest.approx(0.007)
    assert rates.requests == 0


PAGE = "# A page\n\n<!-- one -->\n\n| old |\n\n<!-- end of one -->\n\nText.\n"


class TestPages:
    def test_a_table_takes_the_place_of_another_and_nothing_else_changes(self) -> None:
        table = pages.table(("a", "b"), [("x", 1)])
        assert table == "| a | b |\n| --- | ---: |\n| x | 1 |\n"
        changed = pages.replaced(PAGE, {"one": table})
        assert changed == PAGE.replace("| old |\n", table)
        assert pages.found(changed, "one") == table
        assert pages.replaced(changed, {"one": table}) == changed

    @pytest.mark.parametrize("text", ["", PAGE + PAGE, PAGE.replace("end of", "")])
    def test_a_page_without_one_place_is_left_alone(self, text: str) -> None:
        with pytest.raises(ValueError, match="'one'"):
            pages.replaced(text, {"one": "| new |"})


class TestWhatIsCommitted:
    @pytest.fixture
    def figures(self) -> dict[str, Any]:
        return speed.read(speed.FIGURES)

    def test_the_tables_are_those_of_the_figures(self, figures: dict[str, Any]) -> None:
        for page, tables in (
            (speed.README, speed.tables_of_readme(figures)),
            (speed.PAGE, speed.tables_of_page(figures)),
        ):
            text = page.read_text(encoding="utf-8")
            assert pages.replaced(text, tables) == text, page

    def test_each_target_has_its_row(self) -> None:
        rows = pages.found(speed.README.read_text(encoding="utf-8"), "speed").splitlines()[2:]
        targets = sorted(row.split(" | ")[-2] for row in rows if not row.endswith("|  |"))
        limits = ["≤ 0.05, below 60 MB", "≤ 1.0", "≤ 1.25", "≤ 1.5", "≤ 1.5", "≤ 1.5", "memory ≤ 1.3", "wall ≤ 0.15"]
        assert targets == sorted(limits)

    def test_figures_are_written_as_they_are_read(self, figures: dict[str, Any], tmp_path: Path) -> None:
        speed.write(copy := tmp_path / "speed.json", figures)
        assert copy.read_bytes() == speed.FIGURES.read_bytes()
        figures["usage"][ratios.START]["help"] = "ValueError: no"
        figures["rates"] = replace(figures["rates"], fork=0.0123456)
        speed.write(copy, figures)
        again = speed.read(copy)
        assert again["usage"] == figures["usage"]
        assert again["rates"].fork == 0.01235

    def test_no_rate_is_below_nothing(self, figures: dict[str, Any]) -> None:
        assert all(value > 0 for value in vars(figures["rates"]).values())

    @pytest.mark.parametrize(("configs", "share"), [(10_000, 1.0), (100_000, 0.05), (2_000_000, 0.01)])
    def test_the_page_says_what_the_model_says(self, figures: dict[str, Any], configs: int, share: float) -> None:
        table = pages.found(speed.PAGE.read_text(encoding="utf-8"), "scanning")
        header, _, *rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
        (row,) = (row for row in rows if row[:2] == [f"{configs:,}", f"{100 * share:.0f} %"])
        told = dict(zip(header, row, strict=True))
        for cores in costs.CORES:
            for prove, how in ((True, "proven"), (False, "structure only")):
                hours = costs.hours(configs, round(configs * share), cores, figures["rates"], prove=prove)
                assert told[f"{how}, {cores} cores"] == costs.duration(hours)
