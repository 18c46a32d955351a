"""Commands are read as the shell takes them apart, and a change reaches one option and nothing else."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.deadline import deadline
from archlint.plans.dialects.ms_swift import MsSwift
from archlint.plans.dialects.trl import Trl
from archlint.plans.document import COMPUTED, PlanError
from archlint.plans.documents.command_document import CommandDocument

FILE = Path("run.sh")
SHELL = shutil.which("bash") or shutil.which("sh")
needs_shell = pytest.mark.skipif(SHELL is None, reason="no shell here")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")


def said(text: str, section: int = 0) -> dict[str, Any]:
    return {key: entry.data for key, entry in CommandDocument(FILE, text).sections[section].entries.items()}


def changed(text: str, changes: Mapping[str, Any], section: int = 0) -> str:
    document = CommandDocument(FILE, text)
    return document.rewritten(document.sections[section], changes)


def run(script: str) -> tuple[list[list[str]], set[str]]:
    """The arguments that each call of ``tool`` in a script gets, and the files that the script makes."""
    assert SHELL is not None
    tool = "tool() { { for it; do printf '%s\\0' \"$it\"; done; printf '\\n\\0'; } >> \"$GIVEN\"; }\n"
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as apart:
        given_file = Path(apart) / "given"
        subprocess.run(
            [SHELL, "-c", f"{tool}{script}\nwait\n"],
            cwd=folder,
            env={"GIVEN": str(given_file), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            check=True,
            capture_output=True,
            timeout=30,
        )
        calls: list[list[str]] = [[]]
        for word in given_file.read_text(encoding="utf-8").split("\0")[:-1]:
            if word == "\n":
                calls.append([])
            else:
                calls[-1].append(word)
        return calls[:-1], {path.name for path in Path(folder).iterdir()}


# One law: after any change the shell gives the tool the same arguments, but for those of the changed options.

KEYS = st.sampled_from(["lora_rank", "target_modules", "model", "use_dora", "x", "seed"])
TEXTS = st.one_of(
    st.sampled_from(["q_proj", "v_proj", "8", "1e-4", "-1", "all-linear", "true", "", "a=b"]),
    st.sampled_from([r".*\.(q|v)_proj", r"^(?!.*vision).*\d+$", "it's", 'a "b"', "$HOME", "`id`", "$(id)", "*", "a b"]),
    st.sampled_from(["#x", "a;b", "a&b", "a>b", "a<b", "{a,b}", "a\\", "~", "!x", '{"a": 1}', "é", "2>&1", "\u00a0"]),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=6),
).filter(lambda text: text == "-1" or not text.startswith("-"))
GAPS = st.sampled_from([" ", "  ", "\t", " \\\n    ", "\\\n  ", " \\\n \\\n\t"])
REDIRECTIONS = st.sampled_from([">log", "> log", "2> err", "2>&1", ">>log", "< /dev/null", ">|log"])
TAILS = st.sampled_from(
    [
        "",
        "\n",
        " &\nwait\n",
        " | cat > out\n",
        "; echo done\n",
        " || true\n",
        " && echo ok\n",
        "  # --x 1 > no\n",
        " #'\n",
    ]
)
BEFORE = st.lists(
    st.sampled_from(["# it's a script", "", "export A=1", "echo $(echo $((1 + 2)) `date`) > made", 'B="$A x"', "A=1 :"])
)
AFTER = st.sampled_from(["", "echo 'the end' > end\n", "# 'the end\n", "(echo a; echo b)\n", "tool --x 9\n"])
DATA = st.one_of(TEXTS, st.integers(-9, 99), st.booleans(), st.lists(TEXTS, min_size=2, max_size=3))
CHANGES = st.dictionaries(KEYS, st.one_of(st.none(), DATA), min_size=1, max_size=3)


def quoted(text: str, style: int) -> str:
    if style == 0:
        return shlex.quote(text)
    if style == 1:
        escaped = "".join(f"\\{sign}" if sign in '"\\$`' else sign for sign in text)
        return f'"{escaped}"'
    return "".join(sign if sign.isalnum() else f"\\{sign}" for sign in text) or "''"


@dataclass(frozen=True)
class Script:
    head: str
    command: str
    tail: str
    options: list[list[str]]
    redirections: list[str]

    @property
    def text(self) -> str:
        return self.head + self.command + self.tail


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    command = "tool"
    options: list[list[str]] = []
    redirections: list[str] = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=5)):
        name = f"--{key.replace('_', draw(st.sampled_from('_-')))}"
        values = draw(st.lists(TEXTS, max_size=3))
        words = [quoted(value, draw(st.integers(0, 2))) for value in values]
        command += draw(GAPS) + name
        if len(values) == 1 and draw(st.booleans()):
            options.append([f"{name}={values[0]}"])
            command += f"={words[0]}"
        else:
            options.append([name, *values])
            for word in words:
                if draw(st.integers(0, 9)) == 0:
                    redirections.append(draw(REDIRECTIONS))
                    command += f" {redirections[-1]}"
                command += draw(GAPS) + word
        if draw(st.integers(0, 2)) == 0:
            redirections.append(draw(REDIRECTIONS))
            # a digit right in front would be a part of it
            command += ("" if command[-1].isalpha() and redirections[-1][0] in "<>" else " ") + redirections[-1]
    head = "".join(f"{line}\n" for line in draw(BEFORE))
    tail = draw(TAILS)
    return Script(head, command, tail + (draw(AFTER) if tail.endswith("\n") else ""), options, redirections)


def key_of(option: list[str]) -> str:
    return option[0].partition("=")[0].lstrip("-").replace("-", "_")


def texts_of(data: Any) -> list[str]:
    items = data if isinstance(data, list) else [data]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in items]


def grouped(words: list[str], options: list[list[str]]) -> Iterator[list[str]]:
    heads = {option[0].partition("=")[0] for option in options}
    group: list[str] = []
    for word in words:
        if word.partition("=")[0] in heads or word.startswith("--"):
            if group:
                yield group
            group = []
        group.append(word)
    if group:
        yield group


def in_order(parts: list[str], text: str) -> bool:
    at = 0
    for part in parts:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


@needs_shell
@given(scripts(), CHANGES)
def test_the_shell_gives_the_tool_the_same_but_for_what_is_changed(script: Script, changes: dict[str, Any]) -> None:
    document = CommandDocument(FILE, script.text)
    section = document.sections[0]
    assert section.about == "tool"
    last = {key_of(option): option for option in script.options}
    read = {key: texts_of(entry.data) for key, entry in section.entries.items()}
    assert read == {
        key: option[1:] or ([option[0].partition("=")[2]] if "=" in option[0] else ["true"])
        for key, option in last.items()
    }
    (given_before, *others), files = run(script.text)
    assert given_before == [word for option in script.options for word in option]

    after = document.rewritten(section, changes)

    assert after.startswith(f"{script.head}tool")
    assert after.endswith(script.tail)
    assert in_order(script.redirections, after)
    (given_after, *others_after), files_after = run(after)
    assert (others_after, files_after) == (others, files)
    groups = list(grouped(given_after, script.options))
    assert [group for group in groups if key_of(group) not in changes] == [
        option for option in script.options if key_of(option) not in changes
    ]
    now = {key_of(group): group for group in groups}
    for key, data in changes.items():
        if data is None:
            assert key not in now
        else:
            texts = texts_of(data)
            assert now[key][1:] == texts or now[key] == [f"{now[key][0].partition('=')[0]}={texts[0]}"]
    if groups:
        again = CommandDocument(FILE, after).sections[0]
        for key, data in changes.items():
            assert (key not in again.entries) if data is None else document.holds(again.entries[key], data)


# Redirections.

LOG = """\
#!/bin/bash
CUDA_VISIBLE_DEVICES=0 \\
swift sft \\
    --model type:llama \\
    --lora_rank 8 \\
    --target_modules q_proj v_prj > train.log 2>&1 &
"""


def test_what_goes_to_a_log_is_no_value() -> None:
    assert said(LOG) == {"model": "type:llama", "lora_rank": "8", "target_modules": ["q_proj", "v_prj"]}
    after = changed(LOG, {"target_modules": ["q_proj", "k_proj"], "lora_dropout": 0.1})
    assert after == LOG.replace("v_prj >", "k_proj \\\n    --lora_dropout 0.1 >")


@pytest.mark.parametrize(
    "tail",
    [
        "> log",
        ">log",
        ">>log",
        ">| log",
        "2>&1",
        "> log 2>&1",
        "&> log",
        "&>>log",
        ">& log",
        "< /dev/null",
        "<<< 'a word'",
        "3<> file",
        "2>&- >&2",
        "{fd}> log",
        "> >(tee log)",
        "2>&1 | tee log",
        "|& tee log",
        "&",
        "&& echo done",
        "|| exit 1",
        "; echo done",
        "> $LOGS/$(date +%F).log",
        "# > log",
    ],
)
def test_an_option_comes_in_front_of_what_ends_the_arguments(tail: str) -> None:
    text = f"tool --a 1 --b x {tail}\n"
    assert said(text) == {"a": "1", "b": "x"}
    assert changed(text, {"c": ["y", "z"]}) == f"tool --a 1 --b x --c y z {tail}\n"
    assert changed(text, {"b": None}) == f"tool --a 1 {tail}\n"
    assert changed(text, {"b": 8}) == f"tool --a 1 --b 8 {tail}\n"


def test_a_number_stays_apart_from_a_redirection() -> None:
    assert changed("tool --a x>log\n", {"a": 8}) == "tool --a 8 >log\n"
    assert changed("tool --a 8 --b x>log\n", {"b": None}) == "tool --a 8 >log\n"
    assert said("tool --a 8>log\n") == {"a": True}  # what goes to file 8


def test_values_on_both_sides_of_a_redirection_belong_together() -> None:
    text = "tool --t q > log v 2>&1 k --b 1\n"
    assert said(text) == {"t": ["q", "v", "k"], "b": "1"}
    assert changed(text, {"t": ["a", "b"]}) == "tool --t a b > log 2>&1 --b 1\n"
    assert changed(text, {"t": None}) == "tool > log 2>&1 --b 1\n"


@pytest.mark.parametrize(
    "text", ["cat > a.json <<EOF\n{}\nEOF\ntool --a 1\n", "tool --a 1 <<-'E'\n", "a=$(cat <<E\n)\n"]
)
def test_a_here_document_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r"^run\.sh:1: not a command line: a here-document"):
        CommandDocument(FILE, text)


# One value behind an equals sign.


def test_behind_an_equals_sign_there_is_one_value_as_argparse_has_it() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", nargs="+")
    parser.add_argument("--y")
    for text in ("tool --x=a b --y 1", "tool --x=a --y=1", "tool --x= --y 1", "tool --x='a b' c", "tool --x a b"):
        words = shlex.split(text)[1:]
        parsed, stray = parser.parse_known_args(words)
        document = CommandDocument(FILE, text)
        assert [word.data for word in document.sections[0].words] == ["tool", *stray]
        assert texts_of(said(text)["x"]) == parsed.x


def test_several_values_come_behind_a_blank() -> None:
    assert changed("tool --x=a --y=1\n", {"x": ["q", "v"]}) == "tool --x q v --y=1\n"
    assert changed("tool --x=a --y=1\n", {"x": "it's"}) == "tool --x='it'\"'\"'s' --y=1\n"
    assert changed('tool "--x=a b" > log\n', {"x": "c"}) == "tool --x=c > log\n"


def test_a_word_that_belongs_to_no_option_stays_so() -> None:
    text = "tool --t q --x=a b\n"
    assert changed(text, {"x": "c", "n": 1}) == "tool --t q --x=c b --n 1\n"
    for changes in ({"x": ["c", "d"]}, {"x": None}):
        with pytest.raises(PlanError, match=r"run\.sh:1: b behind x belongs to no option"):
            changed(text, changes)


def test_a_value_like_an_option_is_joined() -> None:
    assert changed("tool --x a --y 1\n", {"x": "-f", "z": "--"}) == "tool --x=-f --z=-- --y 1\n"
    assert said("tool --x=-f --z=-- --y 1\n") == {"x": "-f", "z": "--", "y": "1"}
    with pytest.raises(PlanError, match="a list with a word like -x"):
        changed("tool --x a\n", {"x": ["a", "-f"]})


# What is said of words that the tool does not know.


def unknown(dialect: Any, text: str) -> list[str]:
    document = CommandDocument(FILE, text)
    return [remark.text for remark in dialect.read(document, document.sections[0]).unknown]


TOOL = "--model_name_or_path m --use_peft"


def test_a_stray_word_is_named() -> None:
    assert unknown(Trl(), f"trl sft {TOOL} --lora_target_modules=q_prj v_prj") == [
        "v_prj belongs to no option: lora_target_modules= takes one value"
    ]


@pytest.mark.parametrize(
    "launcher",
    [
        "python train.py",
        "/usr/bin/python3.11 -u train.py",
        "python $SCRIPT",
        "python -m trl.scripts.sft",
        "python -m torch.distributed.run --nproc_per_node 8 train.py",
        "CUDA_VISIBLE_DEVICES=0 torchrun --no_local_rank --nproc_per_node=8 train.py",
        "torchrun --nproc_per_node 8 --master_port $PORT src/train.py",
        "nohup accelerate launch --use_parallelism_config true train.py",
        "accelerate launch train.py",
        "accelerate launch --config_file a.yaml -m trl.scripts.sft",
        "accelerate launch --num_processes 2 -- train.py",
        "deepspeed --include localhost:0 train.py",
    ],
)
def test_behind_a_launcher_only_what_looks_like_a_key_is_named(launcher: str) -> None:
    (remark,) = unknown(Trl(), f"{launcher} {TOOL} --lora_targt_modules q_proj --my_own_thing 1 --log_dir x")
    assert remark.endswith("has no key lora_targt_modules; did you mean lora_target_modules?")


def test_behind_a_launcher_without_a_script_nothing_is_named() -> None:
    assert unknown(Trl(), f"torchrun --no_local_rank $(which trl) sft {TOOL} --lora_targt_modules q_proj") == []


def test_arguments_that_are_passed_on_are_named() -> None:
    for text in (f'trl sft {TOOL} "$@"', f'trl sft {TOOL} true --lora_r 8 "${{ARGS[@]}}" --seed 1'):
        assert unknown(Trl(), text) == ["more arguments are computed; archlint reads literals only"]
    assert said('trl sft --lora_r 8 "$@"')["lora_r"] == "8"


# What the shell makes of words.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("tool --x $UNKNOWN", COMPUTED),
        ("tool --x=$UNKNOWN", COMPUTED),
        ("tool --x=$(a --y 1)", COMPUTED),
        ("tool --x `a --y 1 | b`", COMPUTED),
        ('tool --x "$(a "b c" --y $(d) ")")"', COMPUTED),
        ("tool --x $((1 << 2))", COMPUTED),
        ("tool --x ${A:-${B:-'}'}}", COMPUTED),
        ("tool --x $'a\\'b'", COMPUTED),
        ("tool --x <(sort a)", COMPUTED),
        ("tool --x {q,v}_proj", COMPUTED),
        ("tool --x '{q,v}_proj'", "{q,v}_proj"),
        ('tool --x "^a$"', "^a$"),
        ('tool --x "\\.(q|v)\\$"', "\\.(q|v)$"),
        ("tool --x a\\ b", "a b"),
        ("tool --x a\\\nb", "ab"),
        ("tool --x a\\\n  --y 1", "a"),
        ('tool --x "a\\\nb"', "ab"),
        ("tool --x $'q'", COMPUTED),
        ('tool --x $"q"', "q"),
        ("tool --x a\u00a0b", "a\u00a0b"),
        ("A=8\ntool --x $A", "8"),
        ("export A=8; tool --x ${A}b", "8b"),
        ('A="q_proj v_proj"\ntool --x $A', ["q_proj", "v_proj"]),
        ('A="q_proj v_proj"\ntool --x "$A"', "q_proj v_proj"),
        ('A=" b "\ntool --x a${A}c', ["a", "b", "c"]),
        ("A=\ntool --x $A", True),
        ("A=8 tool --x $A", COMPUTED),
        ("A=8; A=$(b)\ntool --x $A", COMPUTED),
        ("A=8; A+=9\ntool --x $A", COMPUTED),
        ("A=(8 9)\ntool --x $A", COMPUTED),
        ("A=8\nfor A in 1 2; do\n  tool --x $A\ndone", COMPUTED),
        ("A=8\nread -r A\ntool --x $A", COMPUTED),
        ("A=8\nif a; then A=9; fi\ntool --x $A", COMPUTED),
        ("A=8\na && A=9\ntool --x $A", COMPUTED),
        ("A=8\n(A=9)\ntool --x $A", COMPUTED),
        ("A=8\nA=9\ntool --x $A", "9"),
    ],
)
def test_a_value_is_what_the_shell_makes_of_it(text: str, value: Any) -> None:
    document = CommandDocument(FILE, text)
    (section,) = [section for section in document.sections if section.about == "tool"]
    assert section.entries["x"].data == value


@needs_bash
@pytest.mark.parametrize(
    "text",
    [
        'A="q_proj v_proj"; tool --x $A --y "$A"',
        "A=1; A=2 tool --x $A",
        'A=" b "; tool --x a${A}c"$A"',
        'tool --x "a\\b\\"c\\$d" \\a\\\\ \'\\\'',
        'tool --x a#b \'c\'d"e" $ "$"',
        "tool --x a\\\nb \\\n \\\n c",
        "tool --x 2 >log --y 1",
        "if true; then tool --x 1; fi",
        "true && { tool --x 1; }",
        "(tool --x '(')",
    ],
)
def test_bash_agrees(text: str) -> None:
    ((words,), _) = run(text)
    section = next(s for s in CommandDocument(FILE, text).sections if s.about == "tool")
    read: list[str] = []
    for key, entry in section.entries.items():
        read += [f"--{key}", *texts_of(entry.data)]
    assert read == words


def test_a_computed_value_is_never_rewritten() -> None:
    for text in ('tool --x "$A"', 'A=1\ntool --x "$A"', "tool --x=$A", "F='--x 1'\ntool $F", "tool --x a $(b)"):
        for data in ("q", None):
            with pytest.raises(PlanError, match="x is computed; archlint changes literals only"):
                changed(text, {"x": data})
    assert changed('tool --x "$A" > log', {"y": 1}) == 'tool --x "$A" --y 1 > log'


def test_the_last_of_an_option_counts() -> None:
    text = "tool --x 1 --y 2 --x=3 > log\n"
    assert said(text) == {"x": "3", "y": "2"}
    assert changed(text, {"x": 4, "z": 5}) == "tool --x 1 --y 2 --x=4 --z 5 > log\n"
    assert changed(text, {"x": None}) == "tool --y 2 > log\n"


def test_an_option_is_written_in_the_style_of_the_others() -> None:
    assert changed("tool --a-b 1 --c 2\n", {"d_e": 3}) == "tool --a-b 1 --c 2 --d-e 3\n"
    assert changed("tool --a_b 1 --c-d 2\n", {"d_e": 3}) == "tool --a_b 1 --c-d 2 --d_e 3\n"


def test_comments_continuations_and_line_ends_are_kept() -> None:
    text = "# it's\r\ntool \\\r\n  --a 1 \\\r\n  --b \\\r\n    q v\\\r\n  --c 2  # why\r\necho\r\n"
    assert said(text) == {"a": "1", "b": ["q", "v"], "c": "2"}
    after = changed(text, {"b": ["k"], "n": 1})
    assert after == text.replace("q v\\", "k \\\r\n  --n 1\\")
    assert changed(text, {"a": None, "c": 3}) == text.replace("  --a 1 \\\r\n", "").replace("--c 2", "--c 3")


def test_a_command_is_found_behind_the_words_of_the_shell() -> None:
    for text in ("nohup swift sft --x 1 &", "if a; then swift sft --x 1; fi", "A=1 env B=2 swift sft --x 1"):
        assert [section.about for section in CommandDocument(FILE, text).sections] == ["swift sft"]
    arrays = CommandDocument(FILE, 'ARGS=(--a 1\n  --b 2\n)\ntool run "${ARGS[@]}"\n').sections
    assert [list(section.entries) for section in arrays] == [["a"], ["b"]]


@pytest.mark.parametrize("text", ["tool --x 'a", 'tool --x "a', "tool --x $(a", "tool --x `a", "\n\ntool ${a", "$'"])
def test_what_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match=r"^run\.sh:\d: not a command line: a quote (or a bracket )?is not closed$"):
        CommandDocument(FILE, text)


BLANKS = [" ", "\\\n", "\n", "\r", "\\", "a\\\n", "#", "1"]
QUOTES = ["''", '""', '"\\""', "' ", '"\\', "$'", "$'\\'"]
BRACKETS = ["$(", "${", "`", "((", "$((", "{", "{,", "(", ")", "<", ">", "&", "<(", "(#"]
WORDS = ["a=1 ", "export ", "nohup ", "--x ", "--x=1 b ", "$A", "$A ", "A=$A$A\n", "$", "b > c "]


@pytest.mark.parametrize("filler", [*BLANKS, *QUOTES, *BRACKETS, *WORDS])
def test_a_hostile_script_takes_no_longer_than_its_length(filler: str) -> None:
    many = filler * (60_000 // len(filler))
    for text in (f"A=1\ntool --a 1 {many}", f"tool {many} --a 1"):
        with suppress(PlanError), deadline(60, AssertionError):  # what is quadratic takes minutes
            document = CommandDocument(FILE, text)
            for section in document.sections[:1]:
                document.rewritten(section, {"a": None, "x": None, "n": [1, 2]})


def test_variables_that_double_on_every_line_are_computed() -> None:
    text = "A=aaaaaaaa\n" + "A=$A$A\n" * 200 + "tool --x $A"
    assert said(text) == {"x": COMPUTED}


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], [r".*\.(q|v)_proj$"], ["*", "$X", "it's", "a b"]])
def test_ms_swift_reads_again_what_was_written(targets: list[str]) -> None:
    after = changed(LOG, {"target_modules": targets})
    document = CommandDocument(FILE, after)
    assert MsSwift().read(document, document.sections[0]).arguments["target_modules"] == targets
