"""What goes to another process, rules and plans of files too, and what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from archlint.core.catalog import Catalog
from archlint.core.finding import Evidence, Finding, Severity
from archlint.core.report import Report, Unchecked
from archlint.options import Options
from archlint.plans import read_plan_file
from archlint.scanning import jobs
from archlint.scanning.launching import interpreter

RULE = '''
from archlint.core.finding import Severity
from archlint.core.rule import Rule

class Mine(Rule):
    """Mine."""

    code, name, severity, why = "MINE1", "my-rule", Severity.INFO, "It is mine."

    def check(self, blueprint):
        return ()
'''


def names_rules(located: str, options: Options) -> Report:
    """A report that says which rules and which plan came along."""
    said = [f"{rule.code} {rule.name}" for rule in options.rules]
    said += [rule.code for rule in options.ignored]
    if options.plan_file is not None:
        said.append(f"{options.plan_file.path.name} {options.plan_file.reading.arguments['r']}")
    return Report(located, unchecked=(Unchecked("it", ", ".join(said)),))


def elsewhere(job: bytes) -> Any:
    """The answer of a job in another process."""
    code = "from archlint.scanning import jobs; sys.stdout.buffer.write(jobs.answer(sys.stdin.buffer.read()))"
    return json.loads(subprocess.run(interpreter(code), input=job, capture_output=True, check=True).stdout)


def test_rules_and_plans_of_files_arrive(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RULE)
    plan = tmp_path / "adapter_config.json"
    plan.write_text(json.dumps({"peft_type": "LORA", "r": 7, "target_modules": ["q_proj"]}))
    catalog = Catalog.load([tmp_path / "mine.py"])
    mine, *_ = rules = catalog.select(["MINE1", "ARC101"])[::-1]
    options = Options(rules=rules, ignored={mine: "me"}, catalog=catalog, plan_file=read_plan_file(plan))
    said = elsewhere(jobs.pack(names_rules, "x", options))
    (unchecked,) = said["document"]["reports"][0]["unchecked"]
    assert unchecked["why"] == "MINE1 my-rule, ARC101 wrapped-linear, MINE1, adapter_config.json 7"


def test_a_rule_file_that_is_gone_loses_the_report_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RULE)
    catalog = Catalog.load([tmp_path / "mine.py"])
    job = jobs.pack(names_rules, "x", Options(rules=catalog.select(["MINE1"])))
    (tmp_path / "mine.py").unlink()
    assert "no Python file with rules" in elsewhere(job)["lost"]


def starved(located: str, options: Options) -> Report:
    message = (
        "all-linear crashes: RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    )
    return Report(located, findings=(Finding("ARC508", "crash", Severity.ERROR, message, "", Evidence.FORWARDED),))


def fed(located: str, options: Options) -> Report:
    return Report(located, findings=(Finding("ARC508", "crash", Severity.ERROR, "it is so", "", Evidence.FORWARDED),))


def test_that_memory_ran_out_is_no_finding_about_a_model() -> None:
    assert json.loads(jobs.answer(jobs.pack(starved, "x", Options()))) == {"lost": jobs.OUT_OF_MEMORY}
    assert json.loads(jobs.answer(jobs.pack(fed, "x", Options())))["document"]["summary"]["errors"] == 1


def interrupted(located: str, options: Options) -> Report:
    raise KeyboardInterrupt


@pytest.mark.parametrize("job", [b"", b"\x80nonsense"])
def test_what_is_no_job_is_answered(job: bytes) -> None:
    assert "lost" in json.loads(jobs.answer(job))


def test_whatever_is_raised_is_answered() -> None:
    said = json.loads(jobs.answer(jobs.pack(interrupted, "x", Options())))
    assert said == {"lost": "its code raised KeyboardInterrupt"}
    assert sys.exc_info() == (None, None, None)
