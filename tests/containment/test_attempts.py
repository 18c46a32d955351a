"""What code tries on the system around it: refused by each way to contain it, and named."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archlint.containment import Limits

from .levels import LEVELS, means, run

CLOSING = [level for level in LEVELS if level != "limits"]
"""Those that close files, the network and other processes to code."""

_TRYING = """
import ctypes, os
seen = {}

def attempt(name, function, *arguments):
    try:
        seen[name] = str(function(*arguments))[:2000]
    except BaseException as error:
        seen[name] = type(error).__name__

C = ctypes.CDLL(None, use_errno=True)
"""
"""``seen`` says what came of each; by way of ``C`` Python hears of nothing, and nothing but the system refuses."""


def tried(code: str, folder: Path, level: str) -> tuple[dict[str, Any], Any]:
    ran = run(_TRYING + textwrap.dedent(code), folder, means(level), Limits(idle=5))
    assert not ran.lost, ran
    return ran.seen, ran


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that is none of the code's business."""
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "secret").write_text("geheim")
    (folder / "secret").chmod(0o640)
    os.utime(folder / "secret", (1, 1))
    return folder


def state(folder: Path) -> dict[str, Any]:
    return {
        str(path.relative_to(folder)): (stat.st_mode, stat.st_mtime, path.is_file() and path.read_text())
        for path in sorted(folder.rglob("*"))
        for stat in [path.lstat()]
    }


@pytest.mark.parametrize("level", CLOSING)
def test_nothing_outside_is_read_or_changed(level: str, outside: Path, tmp_path: Path) -> None:
    """By system calls, where Python sees and refuses nothing."""
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "link").symlink_to(outside / "secret")
    (repository / "folder").symlink_to(outside)
    (repository / ".git").mkdir()
    (repository / ".git" / "config").write_text("geheim")
    (repository / ".env").write_text("geheim")
    before = state(outside)
    seen, _ = tried(
        f"""
        secret = {os.fsencode(outside / "secret")!r}
        own = os.fsencode(os.path.expanduser("~/own"))
        def content(path):
            descriptor = C.open(path, os.O_RDONLY)
            if descriptor < 0:
                return -1
            held = ctypes.create_string_buffer(1000)
            return ctypes.string_at(held, max(C.read(descriptor, held, 1000), 0))
        attempt("own", C.open, own, os.O_CREAT | os.O_WRONLY, 0o600)
        attempt("symlink", C.symlink, secret, own + b"2")
        attempt("hardlink", C.link, secret, own + b"3")
        for name, path in {{
            "read": secret, "by own link": own + b"2", "by hard link": own + b"3",
            "by repository's link": {os.fsencode(repository / "link")!r},
            "by repository's folder": {os.fsencode(repository / "folder" / "secret")!r},
            "by proc": b"/proc/self/root" + secret, "upwards": b"/tmp/../" + secret,
            "git": {os.fsencode(repository / ".git" / "config")!r}, "env": {os.fsencode(repository / ".env")!r},
            "environment of parent": b"/proc/%d/environ" % os.getppid(),
            "environment of archlint": b"/proc/{os.getpid()}/environ",
            "passwords": b"/etc/shadow", "memory": b"/proc/kcore",
        }}.items():
            attempt(name, content, path)
        attempt("write", C.open, secret, os.O_WRONLY)
        attempt("append", C.open, secret, os.O_WRONLY | os.O_APPEND)
        attempt("truncate", C.truncate, secret, 0)
        attempt("create", C.open, secret + b"2", os.O_CREAT | os.O_WRONLY, 0o600)
        attempt("shared", C.open, b"/dev/shm/archlint-test", os.O_CREAT | os.O_WRONLY, 0o600)
        attempt("delete", C.unlink, secret)
        attempt("rename", C.rename, secret, secret + b"2")
        attempt("put in place", C.rename, own, secret)
        attempt("make", C.mkdir, secret + b"3", 0o700)
        attempt("remove", C.rmdir, os.path.dirname(secret) + b"/sub")
        C.chmod(secret, 0o777)
        C.utimes(secret, None)
        C.lchown(secret, 1, 1)
        C.setxattr(secret, b"user.own", b"x", 1, 0)
        """,
        repository,
        level,
    )
    assert int(seen.pop("own")) >= 0  # its own folder it has
    assert seen.pop("symlink") == "0"
    assert "geheim" not in str(seen)
    if level == "bubblewrap":
        assert "USER=archlint" in seen.pop("environment of parent")  # which is bwrap, and has the same
    assert {name: result for name, result in seen.items() if result not in ("-1", "b''")} == {}
    assert state(outside) == before
    assert not hasattr(os, "listxattr") or not os.listxattr(outside / "secret")
    assert not Path("/dev/shm/archlint-test").exists()


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[dict[str, socket.socket]]:
    """Sockets that somebody listens at."""
    found = {}
    for name, family, address in [
        ("inet", socket.AF_INET, ("127.0.0.1", 0)),
        ("inet6", socket.AF_INET6, ("::1", 0)),
        ("path", socket.AF_UNIX, str(tmp_path / "socket")),
        ("abstract", socket.AF_UNIX, f"\0archlint-test-{os.getpid()}"),
    ]:
        one = socket.socket(family)
        try:
            one.bind(address)
        except OSError:  # no such addresses here
            one.close()
            continue
        one.listen()
        one.setblocking(False)
        found[name] = one
    yield found
    for one in found.values():
        one.close()


@pytest.mark.parametrize("level", CLOSING)
def test_nobody_is_reached(level: str, listeners: dict[str, socket.socket], tmp_path: Path) -> None:
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(str(tmp_path / "datagrams"))
    datagrams.setblocking(False)
    numbers = {name: one.getsockname()[1] for name, one in listeners.items() if name.startswith("inet")}
    seen, _ = tried(
        f"""
        import struct
        def connect(family, address):
            descriptor = C.socket(family, 1, 0)
            C.setsockopt(descriptor, 1, 21, struct.pack("ll", 1, 0), 16)
            return descriptor if descriptor < 0 else C.connect(descriptor, address, len(address))
        number = struct.pack("!H", {numbers.get("inet", 1)})
        attempt("inet", connect, 2, struct.pack("H", 2) + number + bytes([127, 0, 0, 1]) + bytes(8))
        number = struct.pack("!H", {numbers.get("inet6", 1)})
        attempt("inet6", connect, 10, struct.pack("H", 10) + number + bytes(4) + bytes(15) + b"\\1" + bytes(4))
        attempt("path", connect, 1, struct.pack("H", 1) + {os.fsencode(tmp_path / "socket")!r} + b"\\0")
        attempt("abstract", connect, 1, struct.pack("H", 1) + b"\\0archlint-test-{os.getpid()}")
        address = struct.pack("H", 1) + {os.fsencode(tmp_path / "datagrams")!r} + b"\\0"
        pair = (ctypes.c_int * 2)()
        C.socketpair(1, 2, 0, pair)
        attempt("datagram", C.sendto, pair[0], b"x", 1, 0, address, len(address))
        attempt("raw", C.socket, 17, 3, 0)
        """,
        tmp_path / "repository",
        level,
    )
    assert set(seen.values()) == {"-1"}
    for one in listeners.values():
        with pytest.raises(BlockingIOError):
            one.accept()
    with pytest.raises(BlockingIOError):
        datagrams.recv(1)
    datagrams.close()


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("level", CLOSING)
def test_no_other_process_is_reached(level: str, bystander: subprocess.Popen[bytes], tmp_path: Path) -> None:
    seen, _ = tried(
        f"""
        for name, pid in {{"bystander": {bystander.pid}, "archlint": {os.getpid()}, "group": -{os.getpgrp()}}}.items():
            attempt(name, C.kill, pid, 0)
        attempt("trace", C.ptrace, 16, {bystander.pid}, 0, 0)
        attempt("priority", C.setpriority, 0, {bystander.pid}, 19)
        """,
        tmp_path / "repository",
        level,
    )
    assert set(seen.values()) == {"-1"}
    assert bystander.poll() is None


@pytest.mark.parametrize("level", ["everything", "unshare", "kernel"])
def test_system_calls_that_code_has_no_use_for_fail(level: str, tmp_path: Path) -> None:
    seen, _ = tried(
        """
        for family in (1, 2, 10, 16, 17, 40):
            attempt(f"socket of family {family}", C.socket, family, 1, 0)
        attempt("fork", C.fork)
        attempt("vfork", C.vfork)
        attempt("run", C.execl, b"/bin/true", b"true", None)
        attempt("clone", C.syscall, 56 if os.uname().machine == "x86_64" else 220, 17, 0, 0, 0, 0)
        attempt("clone3", C.syscall, 435, 0, 0)
        attempt("by another table", C.syscall, 0x40000000 + 41, 2, 1, 0)
        attempt("newer than known", C.syscall, 600)
        attempt("namespaces", C.unshare, 0x10000000)
        attempt("root", C.chroot, b"/")
        attempt("mount", C.mount, b"none", b"/tmp", b"tmpfs", 0, None)
        attempt("memory file", C.memfd_create, b"x", 0)
        attempt("shared memory", C.shmget, 1, 4096, 0o1600)
        attempt("keys", C.syscall, 250 if os.uname().machine == "x86_64" else 219, 0, -3, 1)
        attempt("rings", C.syscall, 425, 1, 0)
        attempt("session", C.setsid)
        attempt("survive archlint", C.prctl, 1, 0, 0, 0, 0)
        attempt("whom to signal", C.fcntl, 0, 8, os.getppid())
        attempt("which signal", C.fcntl, 0, 10, 9)
        attempt("watch", C.inotify_init)
        attempt("cut", C.truncate, os.fsencode(os.path.expanduser("~/none")), 0)
        attempt("cut by reading", C.open, os.fsencode(__file__), os.O_RDONLY | os.O_TRUNC)
        attempt("own signal", C.kill, os.getpid(), 0)
        attempt("thread", lambda: __import__("threading").Thread(target=print).start())
        """,
        tmp_path / "repository",
        level,
    )
    assert seen.pop("own signal") == "0"
    assert seen.pop("thread") == "None"
    assert set(seen.values()) == {"-1"}


@pytest.mark.parametrize("level", ["everything", "kernel", "limits"])
def test_no_secret_is_in_its_environment(level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "geheim")
    monkeypatch.setenv("HF_HOME", "/somewhere/geheim")
    seen, _ = tried(
        """
        seen["environment"] = dict(os.environ)
        seen["native"] = open("/proc/self/environ").read() if os.path.exists("/proc/self/environ") else ""
        seen["arguments"] = open("/proc/self/cmdline").read() if os.path.exists("/proc/self/cmdline") else ""
        seen["home"] = os.path.expanduser("~")
        """,
        tmp_path / "repository",
        level,
    )
    assert "geheim" not in str(seen)
    assert str(tmp_path) not in seen["arguments"]
    assert seen["home"] != str(Path.home())


NAMED = {
    "open({secret!r})": "tried to read {secret}",
    "os.open({secret!r}, os.O_RDONLY)": "tried to read {secret}",
    "__import__('shutil').copy({secret!r}, os.path.expanduser('~'))": "tried to read {secret}",
    "os.symlink({secret!r}, os.path.expanduser('~/link')) or open(os.path.expanduser('~/link'))": "tried to",
    "os.listdir({outside!r})": "tried to list {outside}",
    "open(os.path.expanduser('~/.netrc'))": "tried to read ~/.netrc",
    "open(os.path.expanduser('~/.cache/huggingface/token'))": "tried to read ~/.cache/huggingface/token",
    "os.listdir(os.path.expanduser('~/.aws'))": "tried to list ~/.aws",
    "open({secret!r}, 'a')": "tried to write {secret}",
    "os.remove({secret!r})": "tried to delete {secret}",
    "os.rename({secret!r}, {secret!r} + '2')": "tried to rename {secret}",
    "os.chmod({secret!r}, 0o777)": "tried to change the mode, owner or time of {secret}",
    "os.mkdir({secret!r} + '2')": "tried to make the folder {secret}2",
    "__import__('shutil').rmtree({outside!r})": "{outside}",
    "__import__('socket').create_connection(('127.0.0.1', 9))": "network address of 127.0.0.1",
    "__import__('socket').socket()": "tried to open a socket",
    "__import__('socket').getaddrinfo('example.org', 80)": "tried to look up the network address of example.org",
    "__import__('urllib.request').request.urlopen('http://example.org')": "network address of example.org",
    "os.system('id')": "tried to start the program id",
    "__import__('subprocess').run(['id', '-u'])": "tried to start the program id -u",
    "__import__('subprocess').run('id; id', shell=True)": "-c id; id: refused",
    "os.fork()": "tried to start another process",
    "os.kill(os.getppid(), 15)": "tried to send a signal to another process",
    "__import__('pickle').loads(b'cos\\nsystem\\n(Vid\\ntR.')": "unpickled os.system",
    "__import__('gc').get_objects()": "looked into archlint's own process with gc.get_objects",
    "__import__('threading').Thread(target=os.remove, args=({secret!r},)).start()": "tried to delete {secret}",
    "C.getpid()": "called machine code by way of ctypes: getpid",
    "input()": "asked for input at the terminal",
    "setattr(__import__('json'), 'dumps', None)": "replaced json.dumps",
    "setattr(__import__('builtins'), 'print', None)": "replaced builtins.print",
    "setattr(__import__('sys'), 'stdout', None)": "replaced sys.stdout",
    "setattr(__import__('archlint.core.serial').core.serial, 'to_json', None)": "replaced archlint.core.serial.to_json",
    "setattr(__import__('archlint.core.serial').core.serial.read_as, '__code__', (lambda kind, data: None).__code__)": (
        "replaced archlint.core.serial.read_as"
    ),
    "__import__('signal').signal(15, lambda *_: None)": "replaced what is done on SIGTERM",
    "__import__('signal').signal(40, lambda *_: None)": "replaced what is done on signal 40",
    "__import__('importlib.machinery').machinery.SourceFileLoader('x', {secret!r}).get_data({secret!r} + '3')": (
        "tried to read {secret}3"
    ),
    "__import__('sqlite3').connect({secret!r} + '4')": "tried to write {secret}4",
    "__import__('sqlite3').connect(__import__('pathlib').Path({secret!r} + '5'))": "tried to write {secret}5",
    "os.environ.get('HF_TOKEN')": "looked for the secret HF_TOKEN in the environment",
    "os.getenvb(b'OPENAI_API_KEY')": "looked for the secret OPENAI_API_KEY in the environment",
    "[*os.environ.items()]": "looked through the environment",
    "__import__('sys').addaudithook(lambda *_: None)": "looked into archlint's own process with sys.addaudithook",
}


@pytest.mark.parametrize("level", ["everything", "limits"])
def test_attempts_are_refused_and_named(
    level: str, outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # of which files are named by ~
    names = {"secret": str(outside / "secret"), "outside": str(outside)}
    at_home = "open(os.path.join({home!r}, '.ssh', 'id_rsa'))".format(home=str(tmp_path / "home"))
    before = state(outside)
    code = "\n".join(f"attempt({number}, lambda: {code.format(**names)})" for number, code in enumerate(NAMED))
    code += f"\nattempt('home', lambda: {at_home})"
    ran = run(_TRYING + code, tmp_path / "repository", means(level), Limits(remarks=100))
    assert not ran.lost, ran
    missing = [words.format(**names) for words in NAMED.values() if not ran.says(words.format(**names))]
    assert missing == []
    assert ran.says("tried to read ~/.ssh/id_rsa: refused")
    assert state(outside) == before


def test_many_attempts_of_a_kind_hide_no_other(tmp_path: Path) -> None:
    code = "\nfor number in range(300): attempt('read', open, f'/etc/{number}')\nattempt('fork', os.fork)"
    ran = run(_TRYING + code, tmp_path / "repository", means("limits"))
    assert sum("tried to read" in remark for remark in ran.remarks) == Limits().remarks
    assert ran.says("did more of the same: left out")
    assert ran.says("tried to start another process: refused")


def test_a_module_of_archlint_that_is_replaced_is_named(tmp_path: Path) -> None:
    code = "import sys\nsys.modules['archlint.core.serial'] = object()"
    ran = run(code, tmp_path / "repository", means("limits"))
    assert not ran.lost, ran
    assert ran.says("replaced archlint.core.serial.to_json"), ran


def test_code_that_is_in_no_file_is_the_repositorys(outside: Path, tmp_path: Path) -> None:
    """Called where nothing of the repository's files is on the stack."""
    code = f"""
    made = {{}}
    exec("def given_up(self): open({str(outside / "secret")!r})", made)
    class Own:
        __del__ = made["given_up"]
    own = Own()
    """
    for level in ("everything", "limits"):
        ran = run(code, tmp_path / "repository", means(level))
        assert ran.says(f"tried to read {outside / 'secret'}: refused"), ran


def test_what_libraries_do_by_themselves_is_no_attempt(tmp_path: Path) -> None:
    code = """
    import copy, getpass, importlib.metadata, logging, pickle, platform, tempfile, threading, uuid, warnings
    from concurrent.futures import ThreadPoolExecutor
    import numpy
    platform.processor(), platform.platform(), uuid.uuid1(), getpass.getuser(), importlib.metadata.version("numpy")
    print("loading"), warnings.warn("old"), logging.getLogger("own").warning("old")
    with tempfile.TemporaryDirectory() as folder:
        numpy.save(f"{folder}/own.npy", numpy.zeros(2)), numpy.load(f"{folder}/own.npy")
    pickle.loads(pickle.dumps([{1: 2}, numpy.zeros(2)]))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(abs, [1, 2]))
    import os
    open(__file__).read(), os.listdir(os.path.dirname(__file__)), os.path.exists("/etc/shadow")
    os.environ.get("LOCAL_RANK"), os.environ.get("TOKENIZERS_PARALLELISM")
    import collections, huggingface_hub, sqlite3
    huggingface_hub.get_token(), sqlite3.connect(":memory:"), collections.namedtuple("Own", "a b")(1, 2)
    os.makedirs(os.path.expanduser("~/.cache/own")), open("/dev/null", "w").write("x"), open("/proc/cpuinfo").read()
    seen = True
    """
    for level in ("everything", "limits"):
        ran = run(code, tmp_path / "repository", means(level))
        assert (ran.seen, ran.remarks) == (True, ()), ran
