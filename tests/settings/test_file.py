"""Settings: which file they are in, what its keys take, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlint.settings.file import Key, SettingsError, find, read
from archlint.settings.forms import Form

KEYS = {
    "offline": Key(Form.FLAG),
    "scope": Key(Form.WORD),
    "select": Key(Form.WORDS),
    "ignore": Key(Form.CODES),
    "trainer-args": Key(Form.ARGUMENTS),
    "fail-on": Key(Form.WORD, of_source=False),
    "trust-remote-code": Key(Form.FLAG, of_all=False),
}


def written(folder: Path, text: str, name: str = "archlint.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


class TestWhichFile:
    def test_the_nearest_counts_alone(self, tmp_path: Path) -> None:
        far = written(tmp_path, "")
        near = written(tmp_path / "a", "[tool.archlint]", "pyproject.toml")
        assert find(tmp_path / "a" / "b") == near
        assert find(tmp_path) == far

    def test_of_one_folder_the_file_of_its_own_wins(self, tmp_path: Path) -> None:
        written(tmp_path, "[tool.archlint]", "pyproject.toml")
        own = written(tmp_path, "")
        assert find(tmp_path) == own

    def test_a_pyproject_that_does_not_speak_of_archlint_is_passed_by(self, tmp_path: Path) -> None:
        far = written(tmp_path, "")
        for text in ("", "[tool.ruff]", "tool = 1", "[tool]"):
            written(tmp_path / "a", text, "pyproject.toml")
            assert find(tmp_path / "a") == far

    def test_what_is_near_and_cannot_be_read_is_not_passed_by(self, tmp_path: Path) -> None:
        written(tmp_path, "")
        broken = written(tmp_path / "a", "[tool", "pyproject.toml")
        with pytest.raises(SettingsError, match="is no TOML: ") as caught:
            find(tmp_path / "a")
        assert str(caught.value).startswith(f"{broken}: ")

    def test_a_file_that_is_named_must_speak_of_archlint(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"pyproject.toml: has no \[tool.archlint\]"):
            read(written(tmp_path, "[tool.ruff]", "pyproject.toml"), KEYS)

    @pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 5000, b"a = 1\na = 2", b"scope = 'a\rb'"])
    def test_bytes_that_are_no_toml(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "archlint.toml"
        file.write_bytes(content)
        with pytest.raises(SettingsError, match="is no TOML: "):
            read(file, KEYS)

    def test_an_editor_may_put_a_mark_in_front_and_end_lines_in_its_way(self, tmp_path: Path) -> None:
        file = tmp_path / "archlint.toml"
        file.write_bytes(b"\xef\xbb\xbfscope = 'text'\r\noffline = true\r\n")
        assert read(file, KEYS).common.values == {"scope": "text", "offline": True}

    def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=f"{tmp_path}: Is a directory"):
            read(tmp_path, KEYS)


class TestValues:
    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ("offline = false", {"offline": False}),
            ("select = 'ARC1'", {"select": ("ARC1",)}),
            ("select = []", {"select": ()}),
            ("select = ['ARC1', 'ARC2']", {"select": ("ARC1", "ARC2")}),
            ("trainer-args.weight_decay = 0.5", {"trainer-args": ("weight_decay=0.5",)}),
            ("trainer-args = {gradient_checkpointing = false}", {"trainer-args": ("gradient_checkpointing=false",)}),
            ("trainer-args = {modules_to_save = ['a', 'b']}", {"trainer-args": ("modules_to_save=a,b",)}),
            ("trainer-args = {loss_type = 'nll'}", {"trainer-args": ("loss_type=nll",)}),
        ],
    )
    def test_are_what_a_command_line_would_say(self, tmp_path: Path, text: str, values: dict[str, object]) -> None:
        assert read(written(tmp_path, text), KEYS).common.values == values
        project = written(tmp_path, f"[tool.archlint]\n{text}", "pyproject.toml")
        assert read(project, KEYS).common.values == values

    def test_a_code_may_come_with_its_reason(self, tmp_path: Path) -> None:
        text = "ignore = ['ARC201', {code = 'ARC101', reason = 'towers are frozen'}, {code = 'ARC3'}]"
        table = read(written(tmp_path, text), KEYS).common
        assert table.values == {"ignore": ("ARC201", "ARC101", "ARC3")}
        assert table.reasons == {"ARC101": "towers are frozen"}

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("offline = 'yes'", '1: offline is true or false, not "yes"'),
            ("offline = 1", "1: offline is true or false, not 1"),
            ("\n\nscope = ['text']", '3: scope is a string, not ["text"]'),
            ("scope = 1979-05-27", '1: scope is a string, not "1979-05-27"'),
            ("select = [\n 'ARC1',\n 2]", '1: select is a string or a list of strings, not ["ARC1", 2]'),
            (f"scope = [{'1,' * 99}]", "1: scope is a string, not [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, …"),
            ('select = "a\\u0000"', "1: select is a string without null characters"),
            (
                "ignore = [{reason = 'why'}]",
                "1: ignore is a list of codes, each a string or {code = …, reason = …}, not",
            ),
            ("ignore = [{code = 'A', reson = ''}]", "{code = …, reason = …}: reson is none of its keys"),
            ("[ignore]\nARC101 = 'so'", "1: ignore is a list of codes, "),
            ("trainer-args = ['a=b']", '1: trainer-args is a table of arguments and their values, not ["a=b"]'),
            (
                "[trainer-args]\nx = 10:00:00",
                "1: trainer-args is a table of arguments and their values, and none takes",
            ),
            ("source = 1", "1: source holds a table for each source"),
            ("[source]\nx = 1", "2: source.x is a table, not 1"),
            ("scpoe = 'text'", "1: scpoe is no setting; did you mean scope?"),
            ("Fail_On = 'error'", "1: Fail_On is no setting; did you mean fail-on?"),
            ("sources.x.scope = 'all'", "1: sources is no setting; did you mean source?"),
            ("something = 1", "1: something is no setting\n"),
            ("[tool.archlint]\nscope = 'text'", "1: tool is no setting; what pyproject.toml has in [tool.archlint]"),
            ("'a b' = 1", '1: "a b" is no setting\n'),
            ("output = 'x'", "1: output is an option of the command line alone\n"),
            (
                "scope = 'all'\n[source.'my/net']\nscop = 1",
                '3: source."my/net".scop is no setting; did you mean scope?',
            ),
            ("[source.net]\nfail-on = 'error'", "2: source.net.fail-on holds for all sources, and stands outside"),
            ("trust-remote-code = true", "1: trust-remote-code is set for single sources, in a section of theirs"),
            ("[source.my.net]\nscope = 'all'", "1: source.my.net is no setting"),
        ],
    )
    def test_what_is_wrong_is_told_on_one_line_with_its_place(self, tmp_path: Path, text: str, says: str) -> None:
        file = written(tmp_path, text)
        with pytest.raises(SettingsError) as caught:
            read(file, KEYS, {"output"})
        assert f"{caught.value}\n".startswith(f"{file}:")
        assert says in f"{caught.value}\n"
        assert "\n" not in str(caught.value)

    def test_the_line_is_that_of_the_table_that_is_meant(self, tmp_path: Path) -> None:
        text = "[tool.ruff]\nselect = ['E']\n[tool.archlint]\n# select = 1\nselect = 2\n"
        with pytest.raises(SettingsError, match=r"pyproject.toml:5: tool.archlint.select is"):
            read(written(tmp_path, text, "pyproject.toml"), KEYS)

    def test_a_table_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"pyproject.toml:2: tool.archlint is a table, not 3"):
            read(written(tmp_path, "[tool]\narchlint = 3", "pyproject.toml"), KEYS)


class TestSections:
    @pytest.mark.parametrize(
        ("pattern", "source", "is_meant"),
        [
            ("google/gemma-4", "google/gemma-4", True),
            ("google/*", "google/gemma-4", True),
            ("google/*", "Google/gemma-4", False),
            ("*", "anything", True),
            ("type:llama", "type:llama", True),
            ("gemma-4", "google/gemma-4", False),
            ("models/a", "models/a", True),
            ("models/a", "./models/../models/a/", True),
            ("./models/a", "models/a", True),
            ("models/a", "models/a/config.json", True),
            ("models", "models/a", True),
            ("models/*", "models/a", True),
            ("models/b", "models/a", False),
            ("models/a", "models/ab", False),
            ("a", "models/a", False),
        ],
    )
    def test_are_for_sources_and_for_paths_from_where_the_file_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, source: str, is_meant: bool
    ) -> None:
        root = tmp_path / "[odd]"  # which is no pattern
        (root / "models" / "a").mkdir(parents=True)
        (root / "models" / "ab").mkdir()
        written(root / "models" / "a", "{}", "config.json")
        settings = read(written(root, f'[source."{pattern}"]'), KEYS)
        monkeypatch.chdir(root)
        assert list(settings.patterns(source)) == [pattern] * is_meant
        monkeypatch.chdir(root / "models")
        if (root / source).exists():
            assert list(settings.patterns(f"../{source}")) == [pattern] * is_meant

    def test_those_below_are_the_stronger_ones(self, tmp_path: Path) -> None:
        settings = read(written(tmp_path, "[source.'z/*']\n[source.'a/*']\n[source.'*']\n[source.'b/*']"), KEYS)
        assert list(settings.patterns("a/x")) == ["a/*", "*"]

    @pytest.mark.parametrize("source", ["x" * 5000, "", "~nobody/x", "a\nb", "\udcff"])
    def test_any_word_may_be_a_source(self, tmp_path: Path, source: str) -> None:
        settings = read(written(tmp_path, "[source.x]\n[source.'[']"), KEYS)
        assert list(settings.patterns(source)) == []
        assert settings.source(source or "no/path") == (source or "no/path")


def test_paths_and_sources_that_are_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(written(tmp_path, ""), KEYS)
    (tmp_path / "sub").mkdir()
    (tmp_path / "net").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert settings.from_here("train.yml") == "../train.yml"
    assert settings.from_here("sub/train.yml") == "train.yml"
    assert settings.source("net") == "../net"
    assert settings.source("org/net") == "org/net"


@pytest.mark.parametrize(
    "text", ["select = 0x{}", "trainer-args = {{a = 0x{}}}", "offline = [0o{}]", "select = {{a = 0b{}}}"]
)
def test_a_number_that_python_does_not_print_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="a number of thousands of digits"):
        read(written(tmp_path, text.format("1" * 20_000)), KEYS)


@pytest.mark.parametrize("text", ["a{} = 1", "[a{}]", "select = {{a{} = 1}}"])
def test_a_key_of_thousands_of_parts_is_not_parsed(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="a line with more than 1000 dots"):
        read(written(tmp_path, text.format(".a" * 50_000)), KEYS)


def test_a_file_of_any_size_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="larger than 4 MiB"):
        read(written(tmp_path, "#" * 5_000_000), KEYS)
