"""Hostile inputs made of real ones: configurations and settings with a few things in them that nobody meant."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.fuzzing.payloads import CODE, DIGITS, HUGE, LONG, NUMBERS, PATTERNS, PLACES, SHAPES, SUSPECTS, TEXTS

Tree = dict[str, Any]
Path = tuple[str | int, ...]

_MUTATIONS = (1, 1, 1, 2, 4)

NAMES = st.one_of(st.sampled_from(TEXTS), st.text(max_size=12))
"""Short texts that mean something to a terminal, a page, a shell, a file system or a parser."""
SCALARS = st.one_of(
    st.sampled_from(NUMBERS),
    NAMES,
    st.sampled_from(LONG),
    st.integers(-5, 5000),
    st.floats(),
)
VALUES = st.one_of(
    SCALARS,
    st.sampled_from(SHAPES).map(copy.deepcopy),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)),
)
"""JSON values of every sort; surrogates, ``nan`` and :data:`HUGE` among them."""


def paths(tree: Any, path: Path = ()) -> Iterator[Path]:
    """The way to each value in a tree, from the top."""
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from paths(value, (*path, key))


def _holder(tree: Tree, path: Path) -> Any:
    found: Any = tree
    for key in path[:-1]:
        found = found[key]
    return found


@st.composite
def _mutated_once(draw: st.DrawFn, tree: Tree, others: Sequence[Mapping[str, Any]]) -> Tree:
    """``tree`` with one change; the change is made in place."""
    kind = draw(st.sampled_from(_KINDS))
    every = list(paths(tree))
    if kind is _swap_suspect or not every:
        _swap_suspect(draw, tree, (), others)
    else:
        kind(draw, tree, draw(st.sampled_from(every)), others)
    return tree


def _replace(draw: st.DrawFn, tree: Tree, path: Path, _: object) -> None:
    _holder(tree, path)[path[-1]] = draw(VALUES)


def _nudge(draw: st.DrawFn, tree: Tree, path: Path, _: object) -> None:
    """Another value of the same sort: such a configuration is more likely to be built."""
    holder, key = _holder(tree, path), path[-1]
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int):
        holder[key] = draw(st.sampled_from([0, -1, 1, 2, 3, 5, value + 1, value - 1, value * 2, value // 2, -value]))
    elif isinstance(value, float):
        holder[key] = draw(st.sampled_from([0.0, 1.0, -value, value * 1e3, 1 / (value or 1), float("nan")]))
    elif isinstance(value, str):
        holder[key] = draw(st.sampled_from([value[:-1], value + value, value.upper(), f" {value}", f"{value}\x00", ""]))
    elif isinstance(value, list):
        holder[key] = draw(st.sampled_from([value[:-1], value + value, value[::-1], [value], value[:1], value * 40]))
    else:
        holder[key] = draw(VALUES)


def _retype(draw: st.DrawFn, tree: Tree, path: Path, _: object) -> None:
    """The same value as another type."""
    holder, key = _holder(tree, path), path[-1]
    value = holder[key]
    ways: list[Callable[[Any], Any]] = [repr, lambda x: [x], lambda x: {"value": x}, lambda x: [[x], x]]
    if isinstance(value, (int, float)):
        ways += [float, bool]
    if isinstance(value, Mapping):
        ways += [list, lambda x: list(x.values())]
    holder[key] = draw(st.sampled_from(ways))(value)


def _remove(draw: st.DrawFn, tree: Tree, path: Path, _: object) -> None:
    del _holder(tree, path)[path[-1]]


def _rename(draw: st.DrawFn, tree: Tree, path: Path, _: object) -> None:
    holder = _holder(tree, path)
    if isinstance(holder, MutableMapping):
        holder[draw(NAMES)] = holder.pop(path[-1])


def _nest(draw: st.DrawFn, tree: Tree, path: Path, _: object) -> None:
    """A copy of all, or of a part, somewhere within it."""
    part = draw(st.sampled_from([(), *(one for one in paths(tree))]))
    inner = copy.deepcopy(_holder(tree, (*part, "")))
    holder = _holder(tree, path)
    if isinstance(holder, MutableSequence):
        holder.insert(0, inner)
    else:
        holder[draw(st.sampled_from([path[-1], "text_config", "vision_config", "audio_config", "sub_config"]))] = inner


def _take(draw: st.DrawFn, tree: Tree, path: Path, others: Sequence[Mapping[str, Any]]) -> None:
    """Some keys of another configuration."""
    other = draw(st.sampled_from(others))
    holder = _holder(tree, path)
    target = holder if isinstance(holder, MutableMapping) else tree
    for key in draw(st.lists(st.sampled_from(sorted(other) or ["x"]), min_size=1, max_size=8)):
        target[key] = copy.deepcopy(other.get(key))


def _swap_suspect(draw: st.DrawFn, tree: Tree, path: Path, _: object) -> None:
    """A key by which libraries look something up, here or in one of the parts."""
    key = draw(st.sampled_from(sorted(SUSPECTS)))
    parts = [tree, *(part for part in tree.values() if isinstance(part, dict))]
    draw(st.sampled_from(parts))[key] = copy.deepcopy(draw(st.sampled_from(SUSPECTS[key])))


_Kind = Callable[[st.DrawFn, Tree, Path, Sequence[Mapping[str, Any]]], None]
_KINDS: tuple[_Kind, ...] = (
    *(_replace, _replace, *[_nudge] * 6, _retype, _remove, _rename),
    *(_nest, _take, _swap_suspect, _swap_suspect),
)


@st.composite
def configs(draw: st.DrawFn, seeds: Sequence[Mapping[str, Any]]) -> Tree:
    """A configuration out of ``seeds`` with one change or a few.

    Of four in five the layers are few, as far as a key says how many: these are built in no time.
    """
    tree: Tree = copy.deepcopy(dict(draw(st.sampled_from(seeds))))
    if draw(st.integers(0, 4)):
        _make_shallow(tree)
    for _ in range(draw(st.sampled_from(_MUTATIONS))):
        tree = draw(_mutated_once(tree, seeds))
    return tree


def _make_shallow(tree: Tree) -> None:
    for path in list(paths(tree)):
        holder, key = _holder(tree, path), path[-1]
        if key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth") and isinstance(holder[key], int):
            holder[key] = min(holder[key], 2)
        elif key in ("layer_types", "layers_block_type", "mlp_layer_types") and isinstance(holder[key], list):
            holder[key] = holder[key][:2]


def written(tree: Any, *, ascii_only: bool = True, indent: int | None = None) -> str:
    """A tree as JSON, ``NaN`` and integers of any length included."""
    return json.dumps(tree, ensure_ascii=ascii_only, indent=indent).replace(json.dumps(HUGE), DIGITS)


@st.composite
def config_files(draw: st.DrawFn, seeds: Sequence[Mapping[str, Any]]) -> bytes:
    """The bytes of a config.json: of :func:`configs`, one in ten of them not as JSON is written."""
    text = written(draw(configs(seeds)))
    if draw(st.integers(0, 9)):
        return text.encode()
    return draw(damaged(text))


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "cp037")
PIECES = (
    *('{"model_type": 1, ', '"model_type": "bert",', ",", "[" * 5_000, '{"a":' * 5_000, "}", "]", "NaN", "-", "1e999"),
    *(
        DIGITS,
        "\\ud800",
        "\\u0000",
        "\x00",
        "\ufeff",
        "// comment\n",
        "/*",
        "'",
        '"',
        "&a *a",
        "!!python/object:x.Y {}",
    ),
    *("!!python/object/apply:os.system [touch injected]", "<<: *a\n", "? - x\n: y\n", "---\n", "%YAML 9.9\n", "\t"),
    *("\x1b[31m", "\r", "\u2028", "\\\n", "<<EOF\n", "$(touch injected)", "`", "f'{x}'", "\x0c", "lambda: 0", "**{}"),
)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """``text`` cut, repeated, with something in it that does not belong there, or in another encoding."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 200)))
        kind = draw(st.sampled_from(["cut", "drop", "repeat", "insert", "insert", "swap"]))
        if kind == "cut":
            text = text[:at]
        elif kind == "drop":
            text = text[:at] + text[end:]
        elif kind == "repeat":
            text = text[:at] + text[at:end] * draw(st.sampled_from([2, 3, 200])) + text[end:]
        elif kind == "insert":
            text = text[:at] + draw(st.one_of(st.sampled_from(PIECES), NAMES)) + text[at:]
        else:
            text = text[:at] + text[at:end][::-1] + text[end:]
    encoding = draw(st.sampled_from(["utf-8"] * len(ENCODINGS) + [*ENCODINGS]))
    lenient = "surrogatepass" if encoding.startswith("utf-") and encoding != "utf-8-sig" else "replace"
    data = text.encode(encoding, lenient)
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=4)) + data[at + 1 :]
    return data


ADAPTER_VALUES: dict[str, st.SearchStrategy[Any]] = {
    **{
        key: st.one_of(st.sampled_from(PATTERNS), st.lists(st.sampled_from([*PATTERNS, "q_proj"]), max_size=3), VALUES)
        for key in ("target_modules", "exclude_modules", "target_parameters", "modules_to_save", "layers_pattern")
    },
    **{
        key: st.one_of(st.dictionaries(st.sampled_from(PATTERNS), st.integers(-1, 64), max_size=3), VALUES)
        for key in ("rank_pattern", "alpha_pattern")
    },
    "base_model_name_or_path": st.one_of(st.sampled_from(PLACES), VALUES),
    "peft_type": st.one_of(st.sampled_from(["LORA", "IA3", "ADALORA", "LOHA", "OFT", "PREFIX_TUNING", "X"]), VALUES),
    "task_type": st.one_of(st.sampled_from(["CAUSAL_LM", "SEQ_CLS", "X"]), VALUES),
    "init_lora_weights": st.one_of(st.sampled_from(["pissa", "loftq", "eva", "corda", "x"]), VALUES),
    "auto_mapping": st.one_of(st.just({"base_model_class": "X", "parent_library": "os"}), VALUES),
    "layer_replication": st.one_of(st.just([[0, 4], [2, 5]]), VALUES),
    "loftq_config": VALUES,
    "layers_to_transform": st.one_of(st.lists(st.integers(-3, 10**6), max_size=4), VALUES),
    "megatron_core": st.one_of(st.sampled_from(CODE), VALUES),
}
"""What a stranger may write as PEFT's own arguments."""


@st.composite
def adapters(draw: st.DrawFn, seeds: Sequence[Mapping[str, Any]]) -> Tree:
    """The content of an adapter_config.json."""
    tree: Tree = copy.deepcopy(dict(draw(st.sampled_from(seeds))))
    for key in draw(st.lists(st.sampled_from(sorted(ADAPTER_VALUES)), max_size=4)):
        tree[key] = draw(ADAPTER_VALUES[key])
    if draw(st.integers(0, 2)) == 0:
        tree = draw(_mutated_once(tree, seeds))
    return tree


def as_yaml(tree: Mapping[str, Any]) -> str:
    """A tree as a block mapping of YAML whose values are in JSON."""
    return "".join(f"{json.dumps(key)}: {written(value)}\n" for key, value in tree.items())


def as_python(tree: Mapping[str, Any]) -> str:
    """A tree as the arguments of a call of PEFT's."""
    arguments = "".join(f"    {key}={value!r},\n" for key, value in tree.items()).replace(repr(HUGE), "0x" + DIGITS)
    return f"from peft import LoraConfig\n\nconfig = LoraConfig(\n{arguments})\n"


def _tree(data: bytes) -> Tree | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found else None


@st.composite
def inputs(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """What a parser may be given that reads ``seeds``: a tree with other values, or a text with other letters."""
    seed = draw(st.sampled_from(seeds))
    tree = _tree(seed)
    if tree is None or draw(st.booleans()):
        return draw(damaged(seed.decode("utf-8", "surrogateescape")))
    for _ in range(draw(st.sampled_from(_MUTATIONS))):
        tree = draw(_mutated_once(tree, [tree]))
    return written(tree).encode()


@st.composite
def plans(draw: st.DrawFn, suffix: str, seeds: Mapping[str, str]) -> bytes:
    """A file of settings with a name that ends in ``suffix``, made of ``seeds`` by name."""
    texts = [text for name, text in seeds.items() if name.endswith(suffix)]
    if draw(st.booleans()) or suffix == ".sh":
        return draw(damaged(draw(st.sampled_from(texts))))
    adapter = draw(adapters([json.loads(text) for name, text in seeds.items() if name.endswith(".json")]))
    write = {".json": written, ".yml": as_yaml, ".py": as_python}[suffix]
    return write(adapter).encode("utf-8", "surrogatepass")
