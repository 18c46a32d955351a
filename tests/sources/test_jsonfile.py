"""Whatever is in a file, the reader gives an object or one line that says what is wrong."""

from __future__ import annotations

import codecs
import json
import math
import os
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.sources import SourceError, jsonfile

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


def refusal(data: bytes) -> str:
    with pytest.raises(SourceError) as caught:
        jsonfile.parse(data, "config.json")
    return str(caught.value)


@given(st.dictionaries(st.text(), values), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"]))
def test_every_object_is_read_in_every_unicode_encoding(content: dict[str, object], encoding: str) -> None:
    document = jsonfile.parse(json.dumps(content).encode(encoding), "config.json")
    assert document == jsonfile.Document(content)


def content_or_error(data: bytes) -> object:
    try:
        return jsonfile.parse(data, "config.json").content
    except SourceError as error:
        return str(error)


@given(st.binary() | st.text().map(str.encode))
def test_arbitrary_bytes_give_an_object_or_one_line(data: bytes) -> None:
    result = content_or_error(data)
    assert isinstance(result, dict) or re.fullmatch(r"config\.json [^\n]+", str(result))


@given(values.filter(lambda value: not isinstance(value, dict)))
def test_what_is_no_object_is_refused(value: object) -> None:
    assert ", not a JSON object" in refusal(json.dumps(value).encode())


@given(st.dictionaries(st.text(), values, min_size=1), st.integers(min_value=1, max_value=8))
def test_an_object_cut_short_is_refused(content: dict[str, object], missing: int) -> None:
    assert "is not JSON" in refusal(json.dumps(content).encode()[:-missing] or b"{")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "config.json is empty"),
        (b" \n\t", "config.json is empty"),
        (codecs.BOM_UTF8 + b"[1]", "config.json holds a list, not a JSON object"),
        (b"null", "config.json holds null, not a JSON object"),
        (b'{\n  "a": 1,\n  b": 2}', "config.json is not JSON: line 3, column 3: "),
        (b'{"a": "\xff"}', "config.json is no text: byte 7 cannot be decoded as utf-8"),
        (b"[" * 100_000, "config.json is nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "config.json is not JSON that can be read: "),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "config.json is a Git LFS pointer"),
        (b" " * 20_000_001, "config.json is larger than 20 MB"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    assert refusal(data).startswith(message)


def test_twenty_megabytes_are_read() -> None:
    data = b'{"a": 1}'
    assert jsonfile.parse(data + b" " * (20_000_000 - len(data)), "x").content == {"a": 1}


def test_numbers_that_json_does_not_have_are_read() -> None:
    content = jsonfile.parse(b'{"time_step_limit": [0.0, Infinity], "x": NaN}', "x").content
    assert content["time_step_limit"] == [0.0, math.inf]
    assert math.isnan(content["x"])


def test_repeated_keys_are_told_and_the_last_counts() -> None:
    document = jsonfile.parse(b'{"a": 1, "b": {"c": 1, "c": 2}, "a": 3, "a": 4}', "x")
    assert document == jsonfile.Document({"a": 4, "b": {"c": 2}}, repeated=("c", "a"))
    assert jsonfile.remarks(document, "x")[0] == "x gives 'c' more than once; the last value counts"


class TestRead:
    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="is no file"):
            jsonfile.read(tmp_path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="cannot be read: No such file or directory"):
            jsonfile.read(tmp_path / "config.json")

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
    def test_a_device_is_no_file(self) -> None:
        with pytest.raises(SourceError, match="is no file"):
            jsonfile.read(Path("/dev/zero"))

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden here")
    def test_a_forbidden_file(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").touch(mode=0)
        with pytest.raises(SourceError, match="Permission denied"):
            jsonfile.read(tmp_path / "config.json")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
    def test_a_pipe_is_read(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(b'{"a": 1}',))
        writer.start()
        assert jsonfile.read(pipe).content == {"a": 1}
        writer.join()
