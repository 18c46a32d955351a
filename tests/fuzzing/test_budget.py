"""As much of the fuzzing as a test run has time for: the same inputs each time. docs/fuzzing.md tells of the rest."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzzing import parsers, rendered, seeds, strategies
from tests.fuzzing.__main__ import drawn
from tests.fuzzing.isolation import apart
from tests.fuzzing.targets import TARGETS, Target
from tests.fuzzing.whole import Outcome, check

budget = settings(
    max_examples=40,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)


@pytest.mark.parametrize("name", TARGETS)
@budget
@given(data=st.data())
def test_parsers_refuse_what_they_do_not_read(name: str, data: st.DataObject) -> None:
    TARGETS[name].read(data.draw(parsers.inputs(name, TARGETS[name])))


@pytest.mark.parametrize("name", TARGETS)
def test_parsers_read_what_they_are_meant_for(name: str) -> None:
    for seed in TARGETS[name].seeds()[:20]:
        TARGETS[name].read(seed)


def test_configs_of_strangers_are_checked_or_refused() -> None:
    for config in itertools.islice(drawn(strategies.config_files(seeds.weighted()), 0), 8):
        ended, problems = check(config, ["--no-prove"])
        assert problems == [], config
        assert isinstance(ended.value, Outcome)


def test_a_real_config_is_checked_in_every_format() -> None:
    config = {"model_type": "llama", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ended, problems = check(json.dumps(config).encode(), ["--no-prove"])
    assert (ended.value, problems) == (Outcome(3, "unchecked", ()), [])


class TestWhatIsSeen:
    """A run that finds nothing says something only if it would see what there is."""

    @pytest.mark.parametrize(
        ("call", "says"),
        [
            (lambda: 1 / 0, "ZeroDivisionError"),
            (lambda: __import__("os").kill(__import__("os").getpid(), 9), "killed: SIGKILL"),
            (lambda: __import__("os")._exit(3), "killed: exit code 3"),
            (lambda: bytearray(2**36), "MemoryError"),
        ],
    )
    def test_an_end_that_is_none(self, tmp_path: Path, call: Any, says: str) -> None:
        (failure,) = apart(call, tmp_path).failures
        assert says in failure

    def test_an_input_that_a_parser_crashes_at(self, tmp_path: Path) -> None:
        def read(data: bytes) -> object:
            return json.loads(data)

        wrong = list(parsers.problems(Target(read, tuple), [b"1", b"[", b"2"], tmp_path))
        assert [data for data, _ in wrong] == [b"["]

    def test_an_input_that_a_parser_dies_of(self, tmp_path: Path) -> None:
        def read(data: bytes) -> object:
            return data == b"!" and __import__("os")._exit(1)

        wrong = list(parsers.problems(Target(read, tuple), [b"1", b"2", b"!", b"3"], tmp_path))
        assert wrong == [(b"!", "killed: exit code 1")]

    @pytest.mark.parametrize(
        ("style", "text"),
        [
            ("full", "\x1b[31m"),
            ("concise", "a\u202eb"),
            ("github", "::error ::x\n::set-output name=x::y"),
            ("json", "{}"),
            ("sarif", '{"runs": 1}'),
            ("junit", "<a>"),
            ("html", "<script>alert(1)</script>"),
        ],
    )
    def test_a_report_that_is_none(self, style: str, text: str) -> None:
        assert list(rendered.problems({style: text})) != []
