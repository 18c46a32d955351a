"""Where results are kept: what is put is got whole or not at all, whatever the disk and other processes do."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archlint import store
from archlint.store import LIMIT, LimitError, Store, Usage, chosen_limit, default_folder, default_limit

ROOT = Path(__file__).parent.parent
KEY = "0123456789abcdef"
TEXT = b'{"findings": []}' * 20
NOISE = bytes(range(256))
DAY = 24 * 3600

contents = st.binary() | st.builds(lambda part, times: part * times, st.binary(max_size=20), st.integers(0, 200))
keys = st.text("0123456789abcdef", min_size=1, max_size=40)


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache" / "results")


def entry(kept: Store, key: str = KEY) -> Path:
    """The file of what is put under ``key``."""
    return kept.folder / f"{key}.result"


def aged(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def run(code: str, *arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a process of its own, which has archlint and the standard library."""
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, **how)


class TestWhatIsPutIsGot:
    @given(keys, contents, contents)
    def test_the_last_that_was_put(
        self, tmp_path_factory: pytest.TempPathFactory, key: str, first: bytes, second: bytes
    ) -> None:
        kept = Store(tmp_path_factory.mktemp("store"))
        assert kept.get(key) is None
        for content in (first, second):
            kept.put(key, content)
            assert kept.get(key) == content
        assert kept.usage().entries == 1

    def test_nothing_else_than_that(self, kept: Store) -> None:
        kept.put("a", TEXT)
        assert kept.get("b") is None
        assert Store(kept.folder.parent).get("a") is None

    def test_what_compresses_takes_less_room(self, kept: Store) -> None:
        kept.put("a", bytes(100_000))
        kept.put("b", os.urandom(100_000))
        assert entry(kept, "a").stat().st_size < 1000
        assert 100_000 < entry(kept, "b").stat().st_size < 100_100

    @pytest.mark.parametrize("key", ["", "..", "a/b", "a\\b", "a.b", "ä", "a\0"])
    def test_a_key_names_no_place(self, kept: Store, key: str) -> None:
        with pytest.raises(ValueError, match="is no key"):
            kept.get(key)
        with pytest.raises(ValueError, match="is no key"):
            kept.put(key, TEXT)

    def test_a_folder_that_is_missing_is_not_made_to_look_into_it(self, kept: Store) -> None:
        assert kept.get(KEY) is None
        assert kept.usage() == kept.clear() == Usage(0, 0)
        assert not kept.folder.parent.exists()


class TestTheFolder:
    def test_it_is_its_owners_alone_and_says_that_it_is_a_cache(self, kept: Store) -> None:
        before = os.umask(0)
        try:
            kept.put(KEY, TEXT)
        finally:
            os.umask(before)
        assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept.folder.iterdir()} == {0o600}
        assert (kept.folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
        assert (kept.folder / ".gitignore").read_text() == "*\n"

    def test_one_that_is_there_is_marked_as_well(self, kept: Store) -> None:
        kept.folder.mkdir(parents=True)
        kept.put(KEY, TEXT)
        assert (kept.folder / "CACHEDIR.TAG").exists()

    def test_other_files_in_it_stay(self, kept: Store) -> None:
        kept.put(KEY, TEXT)
        (kept.folder / "notes.txt").write_text("mine")
        (kept.folder / "folder.result").mkdir()
        small = Store(kept.folder, limit=1000)
        small.put("a", os.urandom(900))
        assert small.get("a") is not None
        small.clear()
        names = {path.name for path in kept.folder.iterdir()}
        assert names >= {"notes.txt", "folder.result", "CACHEDIR.TAG", ".gitignore"}
        assert not any(path.is_file() for path in kept.folder.glob("*.result"))


class TestDamage:
    """An entry that is not whole is none, and is dropped."""

    @pytest.fixture(params=[TEXT, NOISE, b""], ids=["compressed", "plain", "empty"])
    def whole(self, request: pytest.FixtureRequest, kept: Store) -> bytes:
        kept.put(KEY, request.param)
        return entry(kept).read_bytes()

    def is_none(self, kept: Store, written: bytes) -> bool:
        entry(kept).write_bytes(written)
        return kept.get(KEY) is None and not entry(kept).exists()

    def test_truncated_at_any_length(self, kept: Store, whole: bytes) -> None:
        assert all(self.is_none(kept, whole[:length]) for length in range(len(whole)))
        entry(kept).write_bytes(whole)
        assert kept.get(KEY) is not None

    def test_any_byte_flipped(self, kept: Store, whole: bytes) -> None:
        for place in range(len(whole)):
            for bit in (1, 128):
                damaged = bytearray(whole)
                damaged[place] ^= bit
                assert self.is_none(kept, bytes(damaged)), place

    def test_with_something_behind(self, kept: Store, whole: bytes) -> None:
        assert self.is_none(kept, whole + b"\0")
        assert self.is_none(kept, whole + whole)

    def test_that_of_another_key(self, kept: Store, whole: bytes) -> None:
        entry(kept, "other").write_bytes(whole)
        assert kept.get("other") is None

    def test_zeros_as_after_a_loss_of_power(self, kept: Store, whole: bytes) -> None:
        assert self.is_none(kept, bytes(len(whole)))

    @given(st.binary(max_size=200))
    def test_anything_foreign(self, tmp_path_factory: pytest.TempPathFactory, written: bytes) -> None:
        kept = Store(tmp_path_factory.mktemp("store"))
        assert self.is_none(kept, written)
        assert self.is_none(kept, b"archlint result\x01" + written)

    def test_it_can_be_put_again(self, kept: Store, whole: bytes) -> None:
        assert self.is_none(kept, whole[:-1])
        kept.put(KEY, TEXT)
        assert kept.get(KEY) == TEXT

    def test_a_length_that_is_not_its_own(self, kept: Store) -> None:
        kept.put(KEY, TEXT)
        for length in (0, 1, len(TEXT) + 1, 2**64 - 1):
            rest = store._COMPRESSED + length.to_bytes(8, "big") + store._packed(KEY, TEXT)[store._HEAD :]
            assert self.is_none(kept, store._MAGIC + store._digest(KEY, rest) + rest)

    def test_a_link_is_not_followed(self, kept: Store, tmp_path: Path) -> None:
        kept.put(KEY, TEXT)
        elsewhere = entry(kept).rename(tmp_path / "elsewhere")
        entry(kept).symlink_to(elsewhere)
        assert kept.get(KEY) is None
        kept.put(KEY, NOISE)
        assert kept.get(KEY) == NOISE
        assert elsewhere.exists()

    def test_nothing_is_waited_for(self, kept: Store) -> None:
        kept.folder.mkdir(parents=True)
        os.mkfifo(entry(kept))
        entry(kept, "folder").mkdir()
        assert kept.get(KEY) is None
        assert kept.get("folder") is None
        kept.put("folder", TEXT)
        assert kept.get("folder") is None


def _raise(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


class TestTheDisk:
    """It may do what it wants: nothing is raised, and what was there is still there."""

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO, errno.EMFILE])
    @pytest.mark.parametrize("call", ["open", "write", "replace", "utime", "truncate", "unlink", "scandir", "mkdir"])
    def test_refuses(self, kept: Store, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
        kept.put(KEY, TEXT)
        aged(entry(kept), 2 * DAY)
        entry(kept, "damaged").write_bytes(b"")
        with monkeypatch.context() as patch:
            patch.setattr(os, call, _raise(number))
            for limit in (LIMIT, 2000):
                other = Store(kept.folder, limit)
                other.put(KEY, NOISE)
                other.put("new", NOISE)
                assert other.get(KEY) in ([None] if call == "open" else [TEXT, NOISE])
                assert other.get("damaged") is None
            Store(kept.folder / "below").put(KEY, TEXT)
            assert kept.usage().entries >= 0
        assert kept.get(KEY) in (TEXT, NOISE)
        assert call == "unlink" or not list(kept.folder.glob("*.unfinished"))

    def test_is_full_after_some_bytes(self, kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        kept.put(KEY, TEXT)
        write = os.write
        room = iter([10, 7])

        def some(descriptor: int, content: bytes) -> int:
            if (left := next(room, None)) is None:
                raise OSError(errno.ENOSPC, "full")
            return write(descriptor, bytes(content[:left]))

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", some)
            kept.put(KEY, NOISE)
        assert kept.get(KEY) == TEXT
        assert kept.usage().entries == 1
        assert not list(kept.folder.glob("*.unfinished"))

    def test_writes_a_few_bytes_at_a_time(self, kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        write = os.write
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda descriptor, content: write(descriptor, bytes(content[:3])))
            kept.put(KEY, NOISE)
        assert kept.get(KEY) == NOISE

    def test_cannot_be_read_for_now(self, kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        kept.put(KEY, TEXT)
        with monkeypatch.context() as patch:
            patch.setattr(os, "read", _raise(errno.EIO))
            assert kept.get(KEY) is None
        assert kept.get(KEY) == TEXT

    def test_has_a_file_where_the_folder_would_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        for folder in (tmp_path / "file", tmp_path / "file" / "below" / "results"):
            kept = Store(folder)
            kept.put(KEY, TEXT)
            assert kept.get(KEY) is None
            assert kept.usage() == kept.clear() == Usage(0, 0)
        assert (tmp_path / "file").read_text() == "mine"

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
    def test_is_read_only(self, kept: Store) -> None:
        kept.put(KEY, TEXT)
        aged(entry(kept), 2 * DAY)
        entry(kept, "damaged").write_bytes(b"")
        kept.folder.chmod(0o500)
        try:
            assert kept.get(KEY) == TEXT
            assert kept.get("damaged") is None
            kept.put(KEY, NOISE)
            assert kept.get(KEY) == TEXT
            assert kept.clear().entries == 0
        finally:
            kept.folder.chmod(0o700)

    def test_loses_the_folder(self, kept: Store) -> None:
        kept.put(KEY, TEXT)
        shutil.rmtree(kept.folder)
        assert kept.get(KEY) is None
        kept.put(KEY, TEXT)
        assert kept.get(KEY) == TEXT


KILLED = """
import os, signal
from pathlib import Path
from archlint.store import Store
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Store(Path(sys.argv[1])).put(sys.argv[2], bytes(1000) + os.urandom(1000))
"""


class TestAKilledWriter:
    @pytest.fixture
    def left(self, kept: Store) -> Path:
        kept.put("other", TEXT)
        assert run(KILLED, kept.folder, KEY).returncode == -signal.SIGKILL
        (path,) = kept.folder.glob("*.unfinished")
        return path

    def test_leaves_no_entry(self, kept: Store, left: Path) -> None:
        assert kept.get(KEY) is None
        assert kept.get("other") == TEXT
        assert kept.usage() == Usage(1, left.stat().st_size + entry(kept, "other").stat().st_size)
        kept.put(KEY, TEXT)
        assert kept.get(KEY) == TEXT

    def test_may_be_one_that_is_still_at_it(self, kept: Store, left: Path) -> None:
        Store(kept.folder, 3000).put(KEY, os.urandom(1000))
        assert left.exists()
        aged(left, 2 * 3600)
        Store(kept.folder, 3000).put(KEY, os.urandom(1000))
        assert not left.exists()

    def test_is_cleared_away(self, kept: Store, left: Path) -> None:
        size = kept.usage().bytes
        assert kept.clear() == Usage(1, size)
        assert not left.exists()
        assert kept.usage() == Usage(0, 0)


MANY = """
import os, random
from pathlib import Path
from archlint.store import Store
folder, number, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
kept, draw = Store(folder, limit), random.Random(number)
print("ready", flush=True)
sys.stdin.readline()
for turn in range(150):
    key = draw.choice(["same", f"own{number}x{draw.randrange(5)}"])
    content = bytes([number]) * draw.randrange(1, 20_000) + draw.randbytes(draw.randrange(2_000))
    content = len(content).to_bytes(4, "big") + content
    kept.put(key, content)
    got = kept.get(key)
    assert got is None or len(got) == 4 + int.from_bytes(got[:4], "big"), "half an entry"
    assert got is None or key == "same" or got == content, "somebody else's"
    assert got is not None or limit < 10**6, "lost"
"""


@pytest.mark.parametrize("limit", [LIMIT, 20_000], ids=["with room", "evicting"])
def test_processes_write_at_once(kept: Store, limit: int) -> None:
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{MANY}", str(kept.folder)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    writers = [subprocess.Popen([*command, str(number), str(limit)], text=True, **pipes) for number in range(8)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=300)
        assert (writer.returncode, errors) == (0, "")
    assert not list(kept.folder.glob("*.unfinished"))
    usage = kept.usage()
    assert 0 < usage.entries <= 41
    assert usage.bytes <= limit + 8 * 25_000


class TestRoom:
    """A folder does not grow beyond its limit, and what was not used for longest goes first."""

    @settings(max_examples=40)
    @given(st.integers(1, 6000), st.lists(st.tuples(keys, st.integers(0, 1500)), max_size=40))
    def test_is_never_exceeded_and_the_newest_stays(
        self, tmp_path_factory: pytest.TempPathFactory, limit: int, puts: list[tuple[str, int]]
    ) -> None:
        kept = Store(tmp_path_factory.mktemp("store"), limit)
        for key, size in puts:
            content = os.urandom(size)
            kept.put(key, content)
            assert kept.usage().bytes <= limit
            if len(store._packed(key, content)) <= limit:
                assert kept.get(key) == content

    def put(self, kept: Store, key: str, days: float = 0, size: int = 1000) -> None:
        kept.put(key, os.urandom(size))
        if days:
            aged(entry(kept, key), days * DAY)

    def held(self, kept: Store) -> set[str]:
        return {path.stem for path in kept.folder.glob("*.result")}

    def test_the_oldest_go_first(self, tmp_path: Path) -> None:
        kept = Store(tmp_path, 5000)
        for days, key in [(3, "c"), (4, "d"), (1, "a"), (2, "b")]:
            self.put(kept, key, days)
        self.put(kept, "e")
        assert self.held(kept) == {"e", "a", "b", "c"}

    def test_what_is_read_is_used(self, tmp_path: Path) -> None:
        kept = Store(tmp_path, 5000)
        for days, key in [(3, "c"), (4, "d"), (1.1, "a"), (2, "b")]:
            self.put(kept, key, days)
        assert kept.get("d") is not None
        self.put(kept, "e")
        assert self.held(kept) == {"e", "a", "b", "d"}

    def test_an_entry_is_used_once_a_day(self, kept: Store) -> None:
        self.put(kept, KEY, days=0.9)
        before = entry(kept).stat().st_mtime_ns
        kept.get(KEY)
        assert entry(kept).stat().st_mtime_ns == before
        aged(entry(kept), 1.1 * DAY)
        kept.get(KEY)
        assert time.time() - entry(kept).stat().st_mtime < DAY / 2

    def test_what_is_larger_is_not_kept_and_sends_nothing_away(self, tmp_path: Path) -> None:
        kept = Store(tmp_path, 5000)
        self.put(kept, "a")
        self.put(kept, "b", size=6000)
        assert self.held(kept) == {"a"}

    def test_none_at_all(self, tmp_path: Path) -> None:
        kept = Store(tmp_path / "folder", 0)
        self.put(kept, "a")
        assert not kept.folder.exists()

    def test_it_is_seldom_looked_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        looks: list[object] = []
        scandir = os.scandir
        monkeypatch.setattr(os, "scandir", lambda path: looks.append(path) or scandir(path))  # type: ignore[func-returns-value]
        kept = Store(tmp_path, 1_000_000)
        for number in range(200):
            self.put(kept, f"{number:x}", size=5000)
        assert 10 <= len(looks) <= 20
        assert kept.usage().bytes <= 1_000_000

    def test_one_process_after_the_other_looks_for_it(self, tmp_path: Path) -> None:
        for number in range(20):
            self.put(Store(tmp_path, 10_000), f"{number:x}")
        assert Store(tmp_path).usage().bytes <= 10_000

    def test_a_limit_that_was_lowered_holds(self, tmp_path: Path) -> None:
        for number in range(20):
            self.put(Store(tmp_path), f"{number:x}")
        self.put(Store(tmp_path, 5000), "a")
        assert Store(tmp_path).usage().bytes <= 5000


class TestWhere:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setattr(sys, "platform", "linux")
        for name in ("ARCHLINT_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)

    def test_in_the_users_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert default_folder() == tmp_path / "home/.cache/archlint/results"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification says to ignore
        assert default_folder() == tmp_path / "home/.cache/archlint/results"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert default_folder() == tmp_path / "xdg/archlint/results"

    def test_on_a_mac(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "darwin")
        assert default_folder() == tmp_path / "home/Library/Caches/archlint/results"

    def test_on_windows(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "win32")
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
        assert default_folder() == tmp_path / "local/archlint/results"

    def test_where_a_variable_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        monkeypatch.setenv("ARCHLINT_CACHE_DIR", "~/mine")
        assert default_folder() == tmp_path / "home/mine/results"
        monkeypatch.setenv("ARCHLINT_CACHE_DIR", "here")
        assert default_folder() == Path("here/results")

    def test_without_a_home_nothing_is_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where nobody knows the user
        kept = Store(default_folder())
        kept.put(KEY, TEXT)
        assert kept.get(KEY) is None
        assert kept.usage() == kept.clear() == Usage(0, 0)
        assert list(tmp_path.iterdir()) == []


class TestHowLarge:
    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("", LIMIT),
            (" ", LIMIT),
            ("0", 0),
            ("1000", 1000),
            ("12b", 12),
            ("5k", 5000),
            ("500M", 500_000_000),
            ("2 GB", 2_000_000_000),
            ("2GiB", 2 * 2**30),
            (" 1tib ", 2**40),
            ("3Mi", 3 * 2**20),
        ],
    )
    def test_a_size(self, monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
        monkeypatch.setenv("ARCHLINT_CACHE_LIMIT", text)
        assert chosen_limit() == default_limit() == size

    @pytest.mark.parametrize("text", ["-1", "1.5G", "much", "1X", "1ib", "G", "1 0", "٣", "1" * 5000, "1G\n2"])
    def test_none(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setenv("ARCHLINT_CACHE_LIMIT", text)
        with pytest.raises(LimitError, match="is no size, such as"):
            chosen_limit()
        assert default_limit() == LIMIT

    def test_a_gibibyte(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ARCHLINT_CACHE_LIMIT", raising=False)
        assert chosen_limit() == 2**30


def test_it_starts_at_once() -> None:
    done = run("import archlint.store; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    slow = {"torch", "rich", "click", "importlib.metadata", "tempfile", "shutil", "dataclasses", "inspect", "pickle"}
    assert slow.isdisjoint(done.stdout.split())
