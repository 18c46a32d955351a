"""What is read of a repository's own code is what running it would make."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from archlint.core.blueprint import Kind
from archlint.reading import ReadingError, read
from tests.reading.repositories import AUTO_MAP, Repository, model

LAYER = """
class Layer(nn.Module):
    def __init__(self, config, index=0):
        super().__init__()
        self.index = index
        self.proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x):
        return self.proj(x)
"""


def shapes(built: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in built.named_parameters()}


def names(built: nn.Module) -> list[str]:
    return [name for name, _ in built.named_modules() if name]


CONSTRUCTS = {
    "comprehension": ("self.layers = nn.ModuleList([Layer(config, i) for i in range(config.num_layers)])", 2),
    "nested comprehension": ("self.layers = nn.ModuleList([Layer(config) for _ in range(2) for _ in range(2)])", 4),
    "filtered": ("self.layers = nn.ModuleList([Layer(config) for i in range(4) if i % 2])", 2),
    "append": ("self.layers = nn.ModuleList()\nfor i in range(3):\n    self.layers.append(Layer(config, i))", 3),
    "extend": ("self.layers = nn.ModuleList()\nself.layers.extend([Layer(config), Layer(config)])", 2),
    "add": ("self.layers = nn.ModuleList()\nself.layers += [Layer(config)]", 1),
    "list first": (
        "layers = []\nfor i in range(3):\n    layers += [Layer(config)]\nself.layers = nn.Sequential(*layers)",
        3,
    ),
    "sequence": ("self.layers = nn.Sequential(Layer(config), Layer(config))", 2),
    "ordered": (
        "from collections import OrderedDict\n"
        "self.layers = nn.Sequential(OrderedDict([('a', Layer(config)), ('b', Layer(config))]))",
        2,
    ),
    "table": ("self.layers = nn.ModuleDict({f'l{i}': Layer(config) for i in range(3)})", 3),
    "add_module": (
        "self.layers = nn.Module()\nfor i in range(2):\n    self.layers.add_module(str(i), Layer(config))",
        2,
    ),
    "setattr": (
        "self.layers = nn.Module()\nfor n in ('a', 'b'):\n    setattr(self.layers, f'l_{n}', Layer(config))",
        2,
    ),
    "while": ("self.layers = nn.ModuleList()\nwhile len(self.layers) < 3:\n    self.layers.append(Layer(config))", 3),
    "zip": ("self.layers = nn.ModuleList(Layer(config, a * b) for a, b in zip([1, 2], [3, 4]))", 2),
    "enumerate": ("self.layers = nn.ModuleList([Layer(config, i) for i, _ in enumerate('abc')])", 3),
    "map": ("self.layers = nn.ModuleList(map(lambda i: Layer(config, i), range(2)))", 2),
    "partial": (
        "from functools import partial\nmake = partial(Layer, config)\n"
        "self.layers = nn.ModuleList([make(1), make(index=2)])",
        2,
    ),
    "walrus": ("if (n := config.num_layers) > 1:\n    self.layers = nn.ModuleList([Layer(config)] * n)", 2),
    "default": ("self.layers = nn.ModuleList([Layer(config) for _ in range(getattr(config, 'nothing', 3))])", 3),
    "hasattr": ("if not hasattr(config, 'nothing'):\n    self.layers = nn.ModuleList([Layer(config)])", 1),
    "slice": ("self.layers = nn.ModuleList([Layer(config) for _ in range(5)])[:2]", 2),
    "try": (
        "try:\n    import no_such_package\n    n = 1\nexcept ImportError:\n    n = 2\n"
        "self.layers = nn.ModuleList([Layer(config) for _ in range(n)])",
        2,
    ),
    "generator": (
        "def make():\n    for i in range(3):\n        yield Layer(config, i)\nself.layers = nn.ModuleList(make())",
        3,
    ),
    "unpacked": (
        "kinds = (Layer, Layer)\na, *rest = kinds\nself.layers = nn.ModuleList([a(config), rest[0](config)])",
        2,
    ),
    "table of classes": ("self.layers = nn.ModuleList([{'eager': Layer}[config._attn_implementation](config)])", 1),
    "deepcopy": (
        "import copy\nlayer = Layer(config)\nself.layers = nn.ModuleList([copy.deepcopy(layer) for _ in '12'])",
        2,
    ),
    "nonlocal": (
        "n = 0\ndef more():\n    nonlocal n\n    n = 2\nmore()\n"
        "self.layers = nn.ModuleList([Layer(config) for _ in range(2)])",
        2,
    ),
    "with": ("import contextlib\nwith contextlib.nullcontext():\n    self.layers = nn.ModuleList([Layer(config)])", 1),
    "match": (
        "match config.model_type:\n    case 'other' | 'others':\n        n = 1\n    case 'toy' if config.num_layers:\n"
        "        n = 2\n    case _:\n        n = 3\nself.layers = nn.ModuleList([Layer(config) for _ in range(n)])",
        2,
    ),
    "repeat": (
        "from itertools import repeat\n"
        "self.layers = nn.ModuleList([Layer(config, i * j) for i, j in zip(range(2), repeat(4))])",
        2,
    ),
    "rates": (
        "import torch\nrates = [x.item() for x in torch.linspace(0, 0.5, 3)]\n"
        "self.layers = nn.ModuleList([Layer(config) if rate < 0.4 else nn.Identity() for rate in rates])",
        2,
    ),
}


@pytest.mark.parametrize(("body", "count"), CONSTRUCTS.values(), ids=CONSTRUCTS)
def test_a_construct_makes_its_layers(tmp_path: Path, body: str, count: int) -> None:
    reading = Repository(tmp_path, model(body, LAYER)).read()
    held = {id(m) for m in reading.skeleton.model.modules() if type(m).__name__ == "Layer"}
    paths = [p for p, m in reading.skeleton.model.named_modules(remove_duplicate=False) if type(m).__name__ == "Layer"]
    assert len(paths) == count, names(reading.skeleton.model)
    assert held
    assert reading.gaps == ()


def test_values_of_the_config_come_before_its_defaults(tmp_path: Path) -> None:
    repository = Repository(tmp_path, model("self.proj = nn.Linear(config.hidden_size, config.vocab_size, bias=False)"))
    assert shapes(repository.read().skeleton.model) == {"proj.weight": (32, 8)}
    assert shapes(repository.read(hidden_size=16).skeleton.model) == {"proj.weight": (32, 16)}


def test_an_attribute_map_and_a_property_of_the_config_are_followed(tmp_path: Path) -> None:
    configuration = """
    from transformers import PretrainedConfig
    class ToyConfig(PretrainedConfig):
        model_type = "toy"
        attribute_map = {"hidden_size": "d_model"}
        def __init__(self, d_model=6, heads=3, **kwargs):
            self.d_model, self.heads = d_model, heads
            super().__init__(**kwargs)
        @property
        def head_dim(self):
            return self.d_model // self.heads
    """
    repository = Repository(
        tmp_path, model("self.proj = nn.Linear(config.hidden_size, config.head_dim)"), configuration
    )
    assert shapes(repository.read().skeleton.model)["proj.weight"] == (2, 6)


def test_parts_of_a_config_are_made_by_their_own_classes(tmp_path: Path) -> None:
    configuration = """
    from transformers import PretrainedConfig, LlamaConfig
    class EyeConfig(PretrainedConfig):
        model_type = "eye"
        def __init__(self, width=4, **kwargs):
            super().__init__(**kwargs)
            self.width = width
    class ToyConfig(PretrainedConfig):
        model_type = "toy"
        def __init__(self, vision_config=None, text_config=None, **kwargs):
            self.vision_config = EyeConfig(**(vision_config or {}))
            self.text_config = LlamaConfig(**text_config)
            super().__init__(**kwargs)
    """
    body = "self.join = nn.Linear(config.vision_config.width, config.text_config.hidden_size)"
    reading = Repository(tmp_path, model(body), configuration).read(text_config={"hidden_size": 64})
    built = reading.skeleton.model
    assert shapes(built)["join.weight"] == (64, 4)
    assert built.config.model_type == "toy"
    assert built.config.vision_config.model_type == "eye"
    assert built.config.get_text_config().hidden_size == 64


def test_a_model_of_transformers_is_read_inside(tmp_path: Path) -> None:
    small = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    configuration = """
    from transformers import PretrainedConfig, AutoConfig
    from transformers.models.auto import CONFIG_MAPPING
    class ToyConfig(PretrainedConfig):
        model_type = "toy"
        def __init__(self, text_config=None, **kwargs):
            self.text_config = CONFIG_MAPPING[text_config["model_type"]](**text_config)
            super().__init__(**kwargs)
    """
    for make in ("AutoModelForCausalLM.from_config(config.text_config)", "LlamaForCausalLM(config.text_config)"):
        before = set(sys.modules)
        body = f"from transformers import AutoModelForCausalLM, LlamaForCausalLM\nself.language_model = {make}"
        repository = Repository(tmp_path, model(body), configuration)
        built = repository.read(text_config={"model_type": "llama", **small}).skeleton.model
        assert shapes(built)["language_model.model.layers.0.self_attn.q_proj.weight"] == (8, 8)
        assert type(built.language_model).__name__ == "LlamaForCausalLM"
        assert not [name for name in set(sys.modules) - before if "modeling_llama" in name]


def test_classes_come_from_other_files_and_bases(tmp_path: Path) -> None:
    layers = """
    from torch import nn
    class Base(nn.Module):
        width = 3
        def __init__(self, size):
            super().__init__()
            self.size = size
            self.build()
        def build(self):
            self.one = nn.Linear(self.size, self.width)
    class Wide(Base):
        width = 5
        def build(self):
            super().build()
            self.two = nn.Linear(self.width, self.size)
    """
    repository = Repository(
        tmp_path, model("from .layers import Wide\nself.wide = Wide(config.hidden_size)"), layers=layers
    )
    assert shapes(repository.read().skeleton.model) == {
        "wide.one.weight": (5, 8),
        "wide.one.bias": (5,),
        "wide.two.weight": (8, 5),
        "wide.two.bias": (8,),
    }


def test_a_base_is_initialised_by_name(tmp_path: Path) -> None:
    rest = """
    class Norm(nn.LayerNorm):
        def __init__(self, size):
            nn.LayerNorm.__init__(self, normalized_shape=size, eps=1e-6)
    class Plain(Norm):
        pass
    class Named(Plain):
        def __init__(self, size):
            Plain.__init__(self, size)
    """
    built = Repository(tmp_path, model("self.one = Norm(3)\nself.two = Named(4)", rest)).read().skeleton.model
    assert shapes(built) == {"one.weight": (3,), "one.bias": (3,), "two.weight": (4,), "two.bias": (4,)}


def test_parameters_and_buffers_have_their_sizes(tmp_path: Path) -> None:
    body = """
    self.scale = nn.Parameter(torch.ones(config.hidden_size))
    self.table = nn.Parameter(torch.empty(2, config.hidden_size, 4), requires_grad=False)
    self.register_parameter("shift", nn.Parameter(torch.zeros(3) + 1))
    self.register_parameter("nothing", None)
    inv = 1.0 / (10000 ** (torch.arange(0, 8, 2).float() / 8))
    self.register_buffer("inv_freq", inv, persistent=False)
    self.stacked = nn.Parameter(torch.cat([torch.zeros(2, 3), torch.zeros(4, 3)]))
    """
    built = Repository(tmp_path, model(body)).read().skeleton.model
    assert shapes(built) == {"scale": (8,), "table": (2, 8, 4), "shift": (3,), "stacked": (6, 3)}
    assert built.inv_freq.shape == (4,)
    assert not built.table.requires_grad
    assert all(parameter.is_meta for parameter in built.parameters())


def test_a_tied_head_is_tied(tmp_path: Path) -> None:
    rest = """
    class Tied:
        _tied_weights_keys = ["lm_head.weight"]
        def get_input_embeddings(self):
            return self.model["embed"]
        def get_output_embeddings(self):
            return self.lm_head
    """
    body = """
    self.model = nn.ModuleDict(dict(embed=nn.Embedding(config.vocab_size, config.hidden_size)))
    self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
    self.post_init()
    """
    text = model(body, rest).replace("(PreTrainedModel)", "(Tied, PreTrainedModel)")
    repository = Repository(tmp_path, text)
    tied = repository.read(tie_word_embeddings=True).skeleton.model
    assert tied.get_input_embeddings() is tied.model["embed"]
    assert tied.lm_head.weight is tied.model["embed"].weight
    loose = repository.read(tie_word_embeddings=False).skeleton.model
    assert loose.lm_head.weight is not loose.model["embed"].weight


def test_a_finding_would_point_at_the_repository_s_own_line(tmp_path: Path) -> None:
    repository = Repository(tmp_path, model("self.layer = Layer(config)", LAYER))
    site = next(site for site in repository.survey().sites if site.path == "layer")
    file = tmp_path / "modeling_toy.py"
    assert site.type.file == str(file)
    assert file.read_text().splitlines()[site.type.line - 1] == "class Layer(nn.Module):"


def test_kinds_are_told_from_the_text(tmp_path: Path) -> None:
    rest = """
    class Norm(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(size))
        def forward(self, x):
            return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True))
    class Clipped(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.linear = nn.Linear(size, size)
        def forward(self, x):
            return self.linear(x).clamp(-1, 1)
    class Own(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight, self.bias)
    class Pair(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight), self.bias
    class Plain(nn.Linear):
        pass
    class Raw(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.matrix = nn.Parameter(torch.empty(size, size))
        def forward(self, x):
            return x @ self.matrix
    """
    body = "\n".join(f"self.{name.lower()} = {name}(8)" for name in ("Norm", "Clipped", "Raw"))
    body += "\n" + "\n".join(f"self.{name.lower()} = {name}(8, 8)" for name in ("Own", "Pair", "Plain"))
    sites = Repository(tmp_path, model(body, rest)).survey().by_path
    assert sites["norm"].kind is Kind.NORM
    assert (sites["clipped"].kind, sites["clipped"].inner) == (Kind.WRAPPER, "clipped.linear")
    assert sites["raw.matrix"].kind is Kind.RAW_PROJECTION
    assert sites["plain"].kind is Kind.LINEAR
    assert {"linear-shaped"} <= {str(trait) for trait in sites["own"].traits}
    assert {"returns-tuple"} <= {str(trait) for trait in sites["pair"].traits}


def test_another_class_of_the_file_can_be_asked_for(tmp_path: Path) -> None:
    other = "\nclass Other(PreTrainedModel):\n    def __init__(self, config):\n        super().__init__(config)\n"
    repository = Repository(tmp_path, model("self.a = nn.Linear(1, 1)") + other + "        self.b = nn.Linear(2, 2)\n")
    assert names(repository.read().skeleton.model) == ["a"]
    assert names(repository.read("Other").skeleton.model) == ["b"]
    both = {**AUTO_MAP, "AutoModel": "modeling_toy.Other"}
    assert names(repository.read(auto_map=both).skeleton.model) == ["a"]
    assert names(repository.read(auto_map=both, architectures=["Other"]).skeleton.model) == ["b"]
    assert names(repository.read(architectures=["Other"]).skeleton.model) == ["a"]


GAPS = {
    "third party": ("import timm\nself.tower = timm.create_model('vit', pretrained=False)", "timm.create_model"),
    "unknown size": ("import os\nself.proj = nn.Linear(8, len(os.listdir('.')))", "out_features"),
    "unknown condition": ("import time\nif time.time() > 5:\n    self.proj = nn.Linear(8, 8)", "depends"),
    "unknown loop": ("import os\nfor name in os.listdir('.'):\n    setattr(self, 'a', nn.Linear(8, 8))", "loop"),
    "in a list": ("import timm\nself.layers = nn.Sequential(nn.Linear(8, 8), timm.layers.Thing())", "timm"),
    "loaded whole": ("self.tower = torch.load('tower.bin')", "torch.load"),
    "loaded": ("from transformers import AutoModel\nself.tower = AutoModel.from_pretrained('a/b')", "not here"),
}


@pytest.mark.parametrize(("body", "why"), GAPS.values(), ids=GAPS)
def test_what_cannot_be_told_is_told(tmp_path: Path, body: str, why: str) -> None:
    reading = Repository(tmp_path, model(body + "\nself.last = nn.Linear(8, 8)")).read()
    assert any(why in gap.why for gap in reading.gaps), reading.gaps
    gap = reading.gaps[0]
    assert gap.file.endswith("modeling_toy.py")
    assert gap.line > 1
    assert "last" in names(reading.skeleton.model)


def test_both_sides_of_an_unknown_condition_are_there(tmp_path: Path) -> None:
    body = "import time\nif time.time() > 5:\n    self.one = nn.Linear(8, 8)\nelse:\n    self.two = nn.Linear(8, 8)"
    assert set(names(Repository(tmp_path, model(body)).read().skeleton.model)) == {"one", "two"}


def test_nothing_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    body = f"""
    import os, subprocess, builtins
    open({str(trap)!r}, "w").write("x")
    os.system("touch {trap}")
    subprocess.run(["touch", {str(trap)!r}])
    eval("open({str(trap)!r}, 'w')")
    exec("open({str(trap)!r}, 'w')")
    __import__("os").system("touch {trap}")
    getattr(builtins, "open")({str(trap)!r}, "w")
    torch.save({{}}, {str(trap)!r})
    ().__class__.__base__.__subclasses__()
    self.proj = nn.Linear(8, 8)
    """
    repository = Repository(tmp_path, f"open({str(trap)!r}, 'w')\n" + model(body))
    built = repository.read().skeleton.model
    assert names(built) == ["proj"]
    assert not trap.exists()
    with pytest.raises(NotImplementedError):
        Repository(tmp_path, model("pass") + "\n    def forward(self, x):\n        return x\n").read().skeleton.model(1)


def test_no_code_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadingError, match="no model class"):
        read({"model_type": "toy", "auto_map": {"AutoConfig": "a.B"}}, tmp_path)
    with pytest.raises(ReadingError, match="not in the repository"):
        read({"model_type": "toy", "auto_map": AUTO_MAP}, tmp_path)


@pytest.mark.parametrize("place", ["", "text_config"])
def test_how_weights_are_packed_is_known_wherever_the_config_says_it(tmp_path: Path, place: str) -> None:
    packed = {"quantization_config": {"quant_method": "fp8"}}
    config = {place: packed} if place else packed
    reading = Repository(tmp_path, model("self.a = nn.Linear(8, 8)")).read(**config)
    assert reading.skeleton.quantization == packed["quantization_config"]


def test_layers_can_be_exchanged_where_torch_keeps_them(tmp_path: Path) -> None:
    rest = """
    class Frozen(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(size))
    def replace(module):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d):
                module._modules[name] = Frozen(child.num_features)
            else:
                replace(child)
    """
    body = """
    self.tower = nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(5)), nn.Linear(1, 1))
    replace(self)
    self.tower._modules.pop("2")
    """
    reading = Repository(tmp_path, model(body, rest)).read()
    built = reading.skeleton.model
    assert (type(built.tower[0]).__name__, type(built.tower[1][1]).__name__) == ("Frozen", "Frozen")
    assert shapes(built)["tower.1.1.weight"] == (5,)
    assert len(built.tower) == 2
    assert reading.gaps == ()


def test_a_part_of_a_layer_of_torch_that_is_replaced_by_another_class_is_a_gap(tmp_path: Path) -> None:
    body = """
    self.encoder = nn.TransformerEncoderLayer(8, 2, 16)
    self.encoder.self_attn = Layer(config)
    """
    reading = Repository(tmp_path, model(body, LAYER)).read()
    assert [gap.why for gap in reading.gaps] == ["a part of a TransformerEncoderLayer of torch is replaced: self_attn"]


def test_recurrent_layers_take_their_sizes_in_order(tmp_path: Path) -> None:
    body = """
    self.rnn = nn.LSTM(config.hidden_size, 5, 2, bidirectional=True)
    self.gru = nn.GRU(input_size=4, hidden_size=3)
    self.cell = nn.LSTMCell(4, 3)
    """
    reading = Repository(tmp_path, model(body)).read()
    found = shapes(reading.skeleton.model)
    assert found["rnn.weight_ih_l1_reverse"] == (20, 10)
    assert found["gru.weight_hh_l0"] == (9, 3)
    assert found["cell.weight_ih"] == (12, 4)
    assert reading.gaps == ()


def test_arguments_of_from_config_reach_the_constructor(tmp_path: Path) -> None:
    configuration = """
    from transformers import PretrainedConfig, BertConfig
    class ToyConfig(PretrainedConfig):
        model_type = "toy"
        def __init__(self, text_config=None, **kwargs):
            self.text_config = BertConfig(**(text_config or {}))
            super().__init__(**kwargs)
    """
    body = """
    from transformers import AutoModel, BertModel
    self.one = AutoModel.from_config(config.text_config, add_pooling_layer=False, attn_implementation="sdpa")
    self.two = BertModel._from_config(config.text_config, add_pooling_layer=False)
    self.three = BertModel(config.text_config)
    """
    small = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    built = Repository(tmp_path, model(body), configuration).read(text_config=small).skeleton.model
    poolers = [name for name in names(built) if name.endswith("pooler")]
    assert poolers == ["three.pooler"]


def test_a_projector_is_made_as_its_name_says(tmp_path: Path) -> None:
    rest = r"""
    import re
    def build(kind, size):
        found = re.match(r"^mlp(\d+)x_gelu$", kind)
        if found:
            layers = [nn.Linear(size, 2 * size)]
            for _ in range(1, int(found.group(1))):
                layers += [nn.GELU(), nn.Linear(2 * size, 2 * size)]
            return nn.Sequential(*layers)
        if kind == "identity":
            return nn.Identity()
        raise ValueError(kind)
    """
    body = "self.one = build('mlp2x_gelu', 4)\nself.two = build('identity', 4)"
    reading = Repository(tmp_path, model(body, rest)).read()
    assert names(reading.skeleton.model) == ["one", "one.0", "one.1", "one.2", "two"]
    assert reading.gaps == ()


def test_a_pattern_that_could_take_long_is_not_looked_for(tmp_path: Path) -> None:
    body = "import re\nif re.match('(a+)+b', 'a' * 60):\n    self.one = nn.Linear(1, 1)"
    assert any("depends" in gap.why for gap in Repository(tmp_path, model(body)).read().gaps)


def test_a_function_that_raises_ends_there(tmp_path: Path) -> None:
    rest = """
    def build(kind):
        if kind != "known":
            raise ValueError(kind)
            return nn.Linear(1, 1)
        return nn.Linear(2, 2)
    """
    reading = Repository(tmp_path, model("self.one = build('other')\nself.two = nn.Linear(3, 3)", rest)).read()
    assert names(reading.skeleton.model) == ["two"]
    assert {gap.path for gap in reading.gaps} >= {"one"}


def test_a_constructor_that_asks_for_a_package_is_read_on(tmp_path: Path) -> None:
    body = """
    if not torch.cuda.is_available():
        raise ImportError("it needs an accelerator")
    self.one = nn.Linear(1, 1)
    """
    reading = Repository(tmp_path, model(body)).read()
    assert names(reading.skeleton.model) == ["one"]
    assert [gap.why for gap in reading.gaps] == ["__init__ raises ImportError, as it is read"]


def test_a_branch_that_raises_leaves_nothing_to_choose(tmp_path: Path) -> None:
    body = """
    import time
    if time.time() > 5:
        size = 3
    else:
        size = 4
        if config.hidden_size:
            raise ValueError(size)
        size = 5
    self.one = nn.Linear(size, size)
    """
    reading = Repository(tmp_path, model(body)).read()
    assert shapes(reading.skeleton.model)["one.weight"] == (3, 3)


def test_arrays_of_numpy_have_their_shapes(tmp_path: Path) -> None:
    rest = """
    import numpy as np
    def one_axis(size, places):
        omega = np.arange(size // 2, dtype=np.float32)
        omega /= size / 2.0
        omega = 1.0 / 10000**omega
        out = np.einsum("m,d->md", places.reshape(-1), omega)
        return np.concatenate([np.sin(out), np.cos(out)], axis=1)
    def table(size, side):
        places = np.arange(side, dtype=np.float32)
        grid = np.stack(np.meshgrid(places, places), axis=0).reshape([2, 1, side, side])
        return np.concatenate([one_axis(size // 2, grid[0]), one_axis(size // 2, grid[1])], axis=1)
    """
    body = """
    self.places = nn.Parameter(torch.from_numpy(table(config.hidden_size, 3)).float()).requires_grad_(False)
    rates = np.linspace(0, 0.1, 4)
    self.layers = nn.ModuleList([nn.Linear(1, 1) if rate > 0.0 else nn.Identity() for rate in rates.tolist()])
    """
    reading = Repository(tmp_path, model(body, rest)).read()
    assert shapes(reading.skeleton.model)["places"] == (9, 8)
    assert len(shapes(reading.skeleton.model)) == 7
    assert reading.gaps == ()


@pytest.mark.parametrize("declared", [True, False])
def test_a_config_has_the_parts_that_its_class_declares(tmp_path: Path, declared: bool) -> None:
    configuration = f"""
    from transformers import PretrainedConfig
    class EyeConfig(PretrainedConfig):
        model_type = "eye"
    class ToyConfig(PretrainedConfig):
        model_type = "toy"
        {'sub_configs = {"vision_config": EyeConfig}' if declared else ""}
        def __init__(self, vision_config=None, **kwargs):
            self.vision_config = EyeConfig(**(vision_config or {{}}))
            super().__init__(**kwargs)
    """
    built = Repository(tmp_path, model("self.a = nn.Linear(1, 1)"), configuration).read().skeleton.model
    assert list(built.config.sub_configs) == ["vision_config"] * declared


def test_data_of_a_third_party_s_class_is_no_layer(tmp_path: Path) -> None:
    rest = """
    from somewhere import Table, Norm
    class HeadConfig(Table):
        size: int = 3
    class OwnNorm(Norm):
        pass
    """
    body = "self.head_config = HeadConfig(size=4)\nself.norm = OwnNorm(3)"
    body += "\nself.proj = nn.Linear(self.head_config.size, HeadConfig().size)"
    built = Repository(tmp_path, model(body, rest)).read().skeleton.model
    assert names(built) == ["norm", "proj"]
    assert shapes(built)["proj.weight"] == (3, 4)


def test_a_field_of_a_config_gives_way_to_what_the_constructor_is_given(tmp_path: Path) -> None:
    configuration = """
    from transformers import PretrainedConfig
    class ToyConfig(PretrainedConfig):
        model_type = "toy"
        num_labels: int = 1
        def __init__(self, num_labels: int = 3, **kwargs):
            super().__init__(num_labels=num_labels, **kwargs)
    """
    built = Repository(tmp_path, model("self.a = nn.Linear(1, config.num_labels)"), configuration).read().skeleton.model
    assert shapes(built)["a.weight"] == (3, 1)
