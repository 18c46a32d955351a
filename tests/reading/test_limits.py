"""Files that anybody may write end in a stand-in or in one clear error, never in anything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archlint.reading import ReadingError, repository
from tests.reading.repositories import AUTO_MAP, CONFIGURATION, HEAD, Repository, model

HARMLESS = {
    "huge power": "n = 10 ** 10 ** 10\nself.a = nn.Linear(8, n)",
    "huge shift": "n = 1 << 10 ** 9\nself.a = nn.Linear(8, n)",
    "growing number": "n = 3\nfor i in range(100):\n    n = n * n\nself.a = nn.Linear(8, 8)",
    "huge range": "self.a = nn.ModuleList([nn.Linear(8, 8) for _ in range(10 ** 12)])",
    "wide format": "s = '%1000000000d' % 3\nt = f'{3:1000000000}'\nu = '{:1000000000}'.format(3)\n"
    "self.a = nn.Linear(8, 8)",
    "format that reaches in": "s = '{0.__class__.__init__.__globals__}'.format(self)\nself.a = nn.Linear(8, 8)",
    "nested equality": "a = []\nb = []\nfor _ in range(60):\n    a = [a, a]\n    b = [b, b]\n"
    "self.a = nn.Linear(8, 8 if a == b else 4)",
    "nested text": "a = []\nfor _ in range(60):\n    a = [a, a]\ns = str(a)\nself.a = nn.Linear(8, 8)",
    "list in itself": "a = []\na.append(a)\ns = str(a)\nb = a == a\nself.a = nn.Linear(8, 8)",
    "huge tensor": "self.a = nn.Parameter(torch.empty(10 ** 9, 10 ** 9))",
    "huge product": "a = torch.ones(60000, 1) * torch.ones(1, 60000)\nself.a = nn.Parameter(a)",
    "many layers in one": "self.a = nn.LSTM(8, 8, num_layers=10 ** 9)",
    "negative sizes": "self.a = nn.Linear(-3, 'x')\nself.b = nn.Embedding(2, 3, padding_idx=99)",
    "dotted names": "self.add_module('a.b', nn.Linear(8, 8))\nsetattr(self, '', nn.Linear(8, 8))",
    "names of torch": "self._modules = {}\nself.forward = 3\nself.training = 'x'\n"
    "self.named_modules = 1\nself.a = nn.Linear(8, 8)",
    "dunder class": "self.__class__ = nn.Linear\nself.__dict__ = {}\nself.a = nn.Linear(8, 8)",
    "no such thing": "x = undefined.y.z(1)[2]\nself.a = nn.Linear(8, 8)",
    "own config": "config.hidden_size = config\nconfig.x = [config]\nself.a = nn.Linear(8, 8)",
    "wrong calls": "Layer = nn.Linear\nself.a = Layer()\nself.b = Layer(1, 2, 3, 4, 5, 6, 7, 8)\n"
    "self.c = nn.Linear(*[1] * 50)",
    "regular expression": "import re\nre.match('(a+)+$', 'a' * 60 + 'b')\nself.a = nn.Linear(8, 8)",
}
TOO_MUCH = {
    "endless loop": "while True:\n    pass",
    "endless list": "a = [1]\nwhile True:\n    a = a + a",
    "endless text": "a = 'x' * 1000\nwhile True:\n    a += a",
    "many texts": "a = []\nfor i in range(10 ** 5):\n    a.append('x' * 10 ** 6)",
    "long text": "a = 'x' * 10 ** 9",
    "endless calls": "def f(): return f()\nf()",
    "calls of each other": "f = lambda n: g(n)\ng = lambda n: f(n)\nf(1)",
    "endless layers": "self.a = nn.ModuleList()\nwhile True:\n    self.a.append(nn.Linear(8, 8))",
    "deep layers": "a = nn.Linear(8, 8)\nfor _ in range(5000):\n    a = nn.Sequential(a)\nself.a = a",
    "layers in layers": "a = nn.Linear(8, 8)\nfor _ in range(35):\n    a = nn.Sequential(a, a)\nself.a = a",
    "layer in itself": "self.a = self",
    "replaced": "a = 'xy' * 1000\nfor _ in range(100):\n    a = a.replace('x', 'xx' * 1000)",
    "nested loops": "for a in range(10 ** 5):\n    for b in range(10 ** 5):\n        pass",
    "generators": "def f():\n    while True:\n        yield 1\nlist(f())",
    "tables": "d = {}\ni = 0\nwhile True:\n    d[i] = i\n    i += 1",
    "deep copies": "import copy\na = []\nfor _ in range(10 ** 5):\n    a = [a]\ncopy.deepcopy(a)",
}


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
def test_the_absurd_is_left_out(tmp_path: Path, body: str) -> None:
    built = Repository(tmp_path, model(body + "\nself.last = nn.Linear(8, 8)")).read().skeleton.model
    assert built.last.out_features == 8
    list(built.named_modules())


@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH)
def test_too_much_is_refused(tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archlint.reading.limits.MAX_STEPS", 200_000)
    with pytest.raises(ReadingError, match=r"than any model|more than|deeply"):
        Repository(tmp_path, model(body + "\nself.last = nn.Linear(8, 8)")).read()


def test_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "MAX_SECONDS", 0.2)
    with pytest.raises(ReadingError, match="takes more than"):
        Repository(tmp_path, model("while True:\n    pass")).read()


FILES = {
    "null bytes": b"x = 1\0\n",
    "no Python": b"class (:\n",
    "not UTF-8": b"\xff\xfe\xff\n",
    "deep brackets": b"x = " + b"(" * 5000 + b")" * 5000,
    "deep operators": b"x = " + b"-" * 100_000 + b"1",
    "long sum": b"x = " + b"+".join([b"1"] * 200_000),
    "long attribute": b"x = a" + b".b" * 100_000,
    "deep blocks": b"".join(b" " * n + b"if x:\n" for n in range(99)) + b" " * 99 + b"pass\n",
    "huge": b"#" * 3_000_000,
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    made = Repository(tmp_path, "")
    (tmp_path / "modeling_toy.py").write_bytes(content)
    with pytest.raises(ReadingError):
        made.read()


def test_no_file_outside_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("from torch import nn\nclass Layer(nn.Linear):\n    pass\n", encoding="utf-8")
    inside = tmp_path / "repository"
    body = "from ..secret import Layer\nself.a = Layer(3, 3)\nself.last = nn.Linear(8, 8)"
    reading = Repository(inside, model(body)).read()
    assert [name for name, _ in reading.skeleton.model.named_modules() if name] == ["last"]
    assert any("outside" in gap.why for gap in reading.gaps)
    with pytest.raises(ReadingError):
        Repository(inside, model(body)).read(auto_map={"AutoModel": "../secret.Layer"})


def test_a_link_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text(HEAD + model("self.a = nn.Linear(3, 3)"), encoding="utf-8")
    inside = tmp_path / "repository"
    repository_ = Repository(inside, "")
    (inside / "modeling_toy.py").unlink()
    (inside / "modeling_toy.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(ReadingError, match="leaves"):
        repository_.read()


def test_the_links_of_the_hub_s_cache_are_followed(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for name, text in (
        ("configuration_toy", CONFIGURATION),
        ("modeling_toy", HEAD + model("self.a = nn.Linear(3, 3)")),
    ):
        (blobs / name).write_text(text, encoding="utf-8")
        (snapshot / f"{name}.py").symlink_to(os.path.relpath(blobs / name, snapshot))
    reading = repository.read({"model_type": "toy", "auto_map": AUTO_MAP}, snapshot)
    assert reading.skeleton.model.a.in_features == 3


def test_modules_that_import_each_other_end(tmp_path: Path) -> None:
    body = "from .other import Layer\nself.a = Layer(3, 3)"
    other = "from torch import nn\nfrom .modeling_toy import ToyModel, Missing\nfrom .other import Layer as Again\n"
    other += "class Layer(nn.Linear):\n    pass\n"
    reading = Repository(tmp_path, model(body), other=other).read()
    assert reading.skeleton.model.a.in_features == 3


def test_bases_that_go_in_circles_end(tmp_path: Path) -> None:
    bases = {"A": "nn.Module", "B": "A, nn.Module", "C": "nn.Module, B", "D": "C, A"}
    rest = "".join(f"class {name}({written}):\n    pass\n" for name, written in bases.items())
    built = Repository(tmp_path, model("self.a = D()\nself.b = nn.Linear(8, 8)", rest)).read().skeleton.model
    assert built.b.in_features == 8
