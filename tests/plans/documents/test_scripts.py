"""Training scripts: what cannot be read is named, and a change touches nothing but what it changes."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.plans.dialects.peft import Peft
from archlint.plans.document import COMPUTED, PlanError
from archlint.plans.documents.python_document import PythonDocument

FILE = Path("train.py")


def script(text: str) -> PythonDocument:
    return PythonDocument(FILE, text)


def entries(document: PythonDocument, about: str = "LoraConfig") -> dict[str, Any]:
    (section,) = [section for section in document.sections if section.about == about]
    return {key: entry.data for key, entry in section.entries.items()}


def changed(text: str, changes: Mapping[str, Any], about: str = "LoraConfig") -> str:
    """The script with ``changes`` made, which it is checked to say and which Python takes."""
    document = script(text)
    section = next(section for section in document.sections if section.about == about)
    after = document.rewritten(section, changes)
    again = next(section for section in script(after).sections if section.about == about).entries
    for key, data in changes.items():
        assert (again[key].data == data) if data is not None else (key not in again)
    return after


LIST = """\
c = LoraConfig(
    target_modules=[
        'q_proj',  # the query
        # 'k_proj' hurt on task X, see #12
        'v_prj',  # the value
        'o_proj'  # the last
    ],  # all of them
    r=8,
)
"""


def test_an_item_goes_with_its_comment_and_the_others_stay_to_the_letter() -> None:
    after = changed(LIST, {"target_modules": ["q_proj", "o_proj"]})
    assert after == LIST.replace("        'v_prj',  # the value\n", "")


def test_a_new_item_is_written_like_its_neighbours() -> None:
    after = changed(LIST, {"target_modules": ["q_proj", "v_prj", "o_proj", "k_proj"]})
    assert after == LIST.replace("'o_proj'  # the last\n", "'o_proj',  # the last\n        'k_proj'\n")
    after = changed(LIST, {"target_modules": ["q_proj", "v_proj", "o_proj"]})
    assert after == LIST.replace("'v_prj',  # the value\n", "'v_proj',\n")


@pytest.mark.parametrize(
    ("before", "data", "after"),
    [
        ("['a', 'b']", ["a"], "['a']"),
        ("['a', 'b']", ["b"], "['b']"),
        ("['a', 'b',]", ["a", "c"], "['a', 'c',]"),
        ("[ 'a', 'b' ]", ["a"], "[ 'a' ]"),
        ("['a', 'b']", ["x", "a", "y", "b", "z"], "['x', 'a', 'y', 'b', 'z']"),
        ('["a",\n    "b"]', ["a", "c"], '["a",\n    "c"]'),
        ("('a', 'b')", ["a"], "('a',)"),
        ("('a', 'b')", ["b"], "('b',)"),
        ("('a',)", ["a", "b"], "('a', 'b',)"),
        ("{'a', 'b'}", ["b"], "{'b'}"),
        ("{'a'}", [], "[]"),
        ("('a', 'b')", [], "()"),
        ("()", ["a"], '("a",)'),
        ("[]", ["a", "b"], '["a", "b"]'),
        ("[\n    # none yet\n]", ["a"], '[\n    # none yet\n    "a",\n]'),
        ("[('a'), ('b')]", ["b"], "[('b')]"),
        ("['a' 'b', 'c']", ["ab"], "['a' 'b']"),
        ("'all-linear'", ["a"], "['a']"),
        ("(\n    'a'  # why\n)", "b", "(\n    'b'  # why\n)"),
        ("['a', 'b']", r"a\d", r"r'a\d'"),
        ("[\n    'a',  # A\n    # not 'b'\n]", "x", "(\n    'x'\n    # not 'b'\n)"),
        ("{'a': 1, 'b': 2}", {"b": 2, "c": 3}, "{'b': 2, 'c': 3}"),
        ("{\n    'a': 1,  # A\n    'b': 2,  # B\n}", {"b": 2}, "{\n    'b': 2,  # B\n}"),
    ],
)
def test_the_value_of_an_argument(before: str, data: Any, after: str) -> None:
    assert changed(f"c = LoraConfig(it={before}, r=8)\n", {"it": data}) == f"c = LoraConfig(it={after}, r=8)\n"


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("r=8, lora_dropout=(0.1)", {"lora_dropout": None}, "r=8"),
        ("lora_dropout=((0.1)), r=8", {"lora_dropout": None}, "r=8"),
        ("lora_dropout=(0.1)", {"lora_dropout": 0.2}, "lora_dropout=(0.2)"),
        ('it=("a")', {"that": "z"}, 'it=("a"), that="z"'),
        ("it='a'", {"that": ["z"]}, "it='a', that=['z']"),
        ("**{'r': 8}", {"that": "z"}, "**{'r': 8, 'that': 'z'}"),
        ("**{'r': 8, 'it': (1)}", {"it": None}, "**{'r': 8}"),
        ("**dict(r=8, it=1)", {"it": None, "r": 4}, "**dict(r=4)"),
        ("**dict(r=8)", {"it": 1}, "**dict(r=8, it=1)"),
        ("", {"it": 1}, "it=1"),
        ("\n    # nothing yet\n", {"it": 1}, "\n    # nothing yet\n    it=1,\n"),
        ("'x'", {"it": 1}, "'x', it=1"),
        ("key=lambda a, b: a, r=8", {"r": None}, "key=lambda a, b: a"),
        ("key=lambda a, b: a, r=8", {"key": None}, "r=8"),
        ("\n    r=8,  # rank, big\n    it=1  # it\n", {"it": None}, "\n    r=8  # rank, big\n"),
        ("\n    r=8,  # rank\n    it=1,  # it\n", {"that": 2}, "\n    r=8,  # rank\n    it=1,  # it\n    that=2,\n"),
        ("\n    r=8,\n    it=1, that=2\n", {"it": None}, "\n    r=8,\n    that=2\n"),
        ("r=8, \\\n    it=1, \\\n    that=2", {"it": None}, "r=8, \\\n    that=2"),
        ("r=8, it=1", {"it": None, "that": 2}, "r=8, that=2"),
    ],
)
def test_the_arguments_of_a_call(before: str, changes: dict[str, Any], after: str) -> None:
    assert changed(f"c = LoraConfig({before})\n", changes) == f"c = LoraConfig({after})\n"


def test_a_constant_is_changed_where_it_is_defined_if_nothing_else_uses_it() -> None:
    after = changed("T = ['a', 'b']\nc = LoraConfig(it=T)\n", {"it": ["a"]})
    assert after == "T = ['a']\nc = LoraConfig(it=T)\n"


@pytest.mark.parametrize("use", ["freeze(T)", "other(it=T)", "LoraConfig2(it=T)", "print(f'{T}')", "module.T"])
def test_a_constant_that_is_used_elsewhere_stays(use: str) -> None:
    text = f"T = ['a', 'b']\nc = LoraConfig(it=T)\n{use}\n"
    assert changed(text, {"it": ["a"]}) == text.replace("it=T", "it=['a']", 1)


def test_an_argument_that_shares_a_constant_stays() -> None:
    after = changed("R = 64\nc = LoraConfig(r=R, lora_alpha=R)\n", {"r": 8})
    assert after == "R = 64\nc = LoraConfig(r=8, lora_alpha=R)\n"
    assert (
        changed("R = 64\nc = LoraConfig(r=R, lora_alpha=R)\n", {"r": None}) == "R = 64\nc = LoraConfig(lora_alpha=R)\n"
    )


def test_a_constant_in_a_list_stays() -> None:
    text = "Q = 'q'\nc = LoraConfig(it=[Q, 'b'])\n"
    assert changed(text, {"it": ["q"]}) == "Q = 'q'\nc = LoraConfig(it=[Q])\n"
    assert changed(text, {"it": ["b"]}) == "Q = 'q'\nc = LoraConfig(it=['b'])\n"


def test_an_item_by_its_name_stands_where_the_name_is() -> None:
    document = script("Q = 'q'\nc = LoraConfig(it=[\n    'a',\n    Q,\n])\n")
    assert [item.line for item in document.sections[0].entries["it"].value.items] == [3, 4]


def test_the_comments_of_a_script_are_told_with_their_places() -> None:
    text = "s = 'é # no'  # é\rx = '''\n# no\n'''\r\n# yes"
    assert script(text).comments() == [(text.index("# é"), "# é"), (text.index("# yes"), "# yes")]


def test_a_dictionary_elsewhere_is_changed_only_if_one_call_has_it() -> None:
    text = "D = dict(r=8, it=1)\nc = LoraConfig(**D)\n"
    assert changed(text, {"r": 4, "it": None}) == "D = dict(r=4)\nc = LoraConfig(**D)\n"
    assert changed(text, {"new": 4}) == "D = dict(r=8, it=1)\nc = LoraConfig(**D, new=4)\n"
    for changes in ({"r": 4}, {"r": None}):
        with pytest.raises(PlanError, match=r"^train\.py:1: r is set outside the call"):
            changed(f"{text}other(**D)\n", changes)


def test_what_is_set_behind_the_call_is_not_changed() -> None:
    with pytest.raises(PlanError, match=r"^train\.py:2: r is set outside the call"):
        changed("c = LoraConfig(r=8)\nc.r = 4\n", {"r": 2})


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("LoraConfig(**{'r': 8, **extra})", 1),
        ("LoraConfig(**{'r': 8,\n name: 4})", 2),
        ("LoraConfig(**dict(base, r=8))", 1),
        ("LoraConfig(**dict(r=8,\n **extra))", 2),
        ("LoraConfig(**dict(*pairs, r=8))", 1),
        ("LoraConfig(r=8, **extra)", 1),
        ("LoraConfig(r=8, **(base | extra))", 1),
        ("LoraConfig(*rest, r=8)", 1),
        ("kw = {'r': 8}\nkw['it'] = 1\nLoraConfig(**kw)", 3),
        ("kw = {'r': 8}\nLoraConfig(**kw)\nkw.update(it=1)", 2),
        ("kw = {'r': 8}\nkw |= {'it': 1}\nLoraConfig(**kw)", 3),
        ("kw = {'r': 8, **kw}\nLoraConfig(**kw)", 1),
        ("c = LoraConfig(r=8)\nsetattr(c, name, 4)", 2),
        ("c = LoraConfig(r=8)\nc.__dict__.update(extra)", 2),
    ],
)
def test_arguments_that_cannot_be_read_are_named(call: str, line: int) -> None:
    document = script(call)
    (section,) = [section for section in document.sections if section.about == "LoraConfig"]
    assert section.entries["**"].data is COMPUTED
    assert section.entries["**"].line == line
    with pytest.raises(PlanError, match=r"^train\.py:\d+: [^\n]+$"):
        Peft().read(document, section)


@pytest.mark.parametrize(
    "change",
    [
        "T.append('k')",
        "T += ['k']",
        "T[0] = 'k'",
        "T[:] = []",
        "del T[0]",
        "T = T + ['k']",
        "add = T.extend",
        "for T in many: pass",
        "from names import T",
        "def T(): pass",
        "with some() as T: pass",
        "print(T := [])",
        "match it:\n    case [*T]: pass",
        "try: pass\nexcept E as T: pass",
    ],
)
def test_a_name_that_is_changed_is_no_constant(change: str) -> None:
    assert entries(script(f"T = ['q']\n{change}\nc = LoraConfig(it=T, r=8)\n")) == {"it": COMPUTED, "r": 8}


@pytest.mark.parametrize("use", ["print(T)", "T.index('q')", "T.copy()", "x = T[0]", "for t in T: pass", "T.x.y"])
def test_a_name_that_is_looked_at_is_a_constant(use: str) -> None:
    assert entries(script(f"T = ['q']\n{use}\nc = LoraConfig(it=T)\n")) == {"it": ["q"]}


@pytest.mark.parametrize(
    "change",
    [
        "c.it = ['k']",
        "c.it += ['k']",
        "c.it[0] = 'k'",
        "c.it.add('k')",
        "c.it.deeper = 1",
        "del c.it",
        "setattr(c, 'it', ['k'])",
        "delattr(c, 'it')",
        "def f():\n    c.it = 1",
    ],
)
@pytest.mark.parametrize("given", ["it=['q'], ", ""])
def test_an_attribute_that_is_set_behind_the_call_is_computed(change: str, given: str) -> None:
    document = script(f"c = LoraConfig({given}r=8)\n{change}\n")
    assert entries(document) == {"it": COMPUTED, "r": 8}
    assert document.sections[0].entries["it"].line > 1
    if change.startswith("c."):
        text = f"class A:\n    def f(self):\n        self.c: C = LoraConfig({given}r=8)\n        self.{change}\n"
        assert entries(script(text)) == {"it": COMPUTED, "r": 8}


@pytest.mark.parametrize(
    "text",
    [
        "c = LoraConfig(it=1)\nd.it = 2",
        "c = LoraConfig(it=1)\nprint(c.it)\nc.save_pretrained('x')",
        "c = LoraConfig(it=1)\nmodel = wrap(c)\nc = AutoConfig()\nc.it = 3",
        "c = AutoConfig()\nc.it = 3\nc = LoraConfig(it=1)",
        "c = LoraConfig(it=1)\ndef f(c):\n    c.it = 2",
        "c.it = LoraConfig(it=1)",
    ],
)
def test_what_is_set_on_something_else_is_not_taken_for_the_call(text: str) -> None:
    assert entries(script(text)) == {"it": 1}


def test_the_attributes_of_what_a_method_returns_are_not_its_arguments() -> None:
    document = script("model = FastModel.get_peft_model(model, r=8)\nmodel.config = 1\nmodel.r = 2\n")
    assert entries(document, "FastModel.get_peft_model") == {"r": 8}


def test_only_the_enumeration_of_the_argument_stands_for_its_word() -> None:
    document = script("LoraConfig(task_type=peft.TaskType.CAUSAL_LM, lora_task_type=TaskType.A, it=CFG.NAMES)")
    assert entries(document) == {"task_type": "CAUSAL_LM", "lora_task_type": "A", "it": COMPUTED}


@pytest.mark.parametrize("words", ["8", "8, 16, ['q']", "*rest", "'LORA', *rest"])
def test_arguments_by_their_place_are_refused(words: str) -> None:
    document = script(f"x = 1\nc = LoraConfig({words}, target_modules=['q'])\n")
    ((_, section),) = Peft().claims(document)
    with pytest.raises(PlanError, match=r"^train\.py:2: archlint reads arguments by their names only$"):
        Peft().read(document, section)


def test_a_deep_list_is_read_at_once() -> None:
    assert "it" in entries(script(f"LoraConfig(it={'[' * 80}{']' * 80})\n"))


@pytest.mark.parametrize("kind", ["[{0}, {0}]", "{{**{0}, **{0}}}", "dict({0}, **{0})"])
def test_constants_of_constants_are_read_at_once(kind: str) -> None:
    lines = [f"A{number} = {kind.format(f'A{number + 1}')}\n" for number in range(60)]
    assert script("".join([*lines, "A60 = {'r': 1}\n", "LoraConfig(it=A0, **A0)\n"]))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("signs", ["\f", "\v", "\x1c", "\x85", "\u2028", "\u2029", "é", "😀", "日本"])
def test_signs_that_other_programs_end_lines_with(newline: str, signs: str) -> None:
    lines = [
        f"s = 'x{signs}y'; t = '''{signs}",
        f"{signs}'''  # {signs} z",
        f"\fif s:  # {signs}",
        f"    a = '{signs}'; c = LoraConfig(",
        f"        it=['{signs}', 'a',  # {signs}",
        f"            'b'], r=8, that='{signs}',\f",
        f"    ); after = '{signs}'",
        "",
    ]
    text = newline.join(lines)
    assert entries(script(text)) == {"it": [signs, "a", "b"], "r": 8, "that": signs}
    after = changed(text, {"it": [signs, "b", "c"], "r": 4, "new": 1})
    assert after == (
        text.replace(", 'a',  #", ",  #").replace("'b']", "'b', 'c']").replace("r=8", "r=4, new=1")
    ) or after == text.replace(", 'a',  #", ",  #").replace("'b']", "'b', 'c']").replace("r=8", "r=4").replace(
        f"that='{signs}'", f"that='{signs}', new=1"
    )
    assert script(text).sections[0].line == 4


def test_a_mark_of_byte_order_inside_is_refused_with_its_line() -> None:
    with pytest.raises(PlanError, match=r"^train\.py:1: not Python: "):
        script("\ufeffLoraConfig(r=1)\n")


# One law for all scripts ------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["q_proj", "k_proj", "v_proj", "é", "😀", "a.b", "#", "it's", ",", "(", "\u2028"])
LISTS = st.lists(NAMES, max_size=4)
DATA = st.one_of(LISTS, NAMES, st.integers(0, 64), st.booleans(), st.dictionaries(NAMES, st.integers(0, 9), max_size=3))
KEYS = st.sampled_from(["r", "alpha", "target_modules", "exclude_modules", "rank_pattern", "bias"])
ARGUMENTS = st.dictionaries(KEYS, DATA, max_size=5)


class Writer:
    """Writes scripts, and keeps in mind what each comment in them belongs to."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.owners: dict[str, list[tuple[str, Any]]] = {}
        """For each comment the members that stand on its line; none where it stands alone."""

    def any(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def comment(self, owners: list[tuple[str, Any]]) -> str:
        comment = f"# {len(self.owners)}; é, (["
        self.owners[comment] = owners
        return comment

    def members(self, members: list[tuple[Any, str]], margin: str, key: str, comma: bool = False) -> str:
        """Members between commas, on one line or several, with comments here and there."""
        text, line = "", []
        for number, (owner, written) in enumerate(members):
            text += written
            line = [*([] if "\n" in written else line), (key, owner)]
            last = number == len(members) - 1
            if comma or not last or self.any(True, False):
                text += self.any(",", " ,")
            kind = self.any("same", "same", "next", "comment", "comments", "continued")
            if kind == "same":
                text += "" if last else self.any(" ", "", "\t")
                continue
            if kind == "continued":
                text += f" \\\n{margin}"
            else:
                text += f"  {self.comment(line)}" if kind != "next" else ""
                text += f"\n{margin}{self.comment([(key, None)])}" if kind == "comments" else ""
                text += f"\n{margin}"
            line = []
        return text

    def opening(self, margin: str, key: str) -> str:
        kind = self.any("same", "same", "next", "comment")
        return "" if kind == "same" else f"  {self.comment([(key, None)]) if kind == 'comment' else ''}\n{margin}"

    def scalar(self, value: Any) -> str:
        text = repr(value)
        if isinstance(value, str) and not set(value) & {"'", '"'}:
            quote = self.any("'", '"', '"""')
            text = f"{quote}{value}{quote}"
        return str(self.any(text, text, f"({text})", f"( ({text}) )"))

    def value(self, key: str, value: Any, margin: str) -> str:
        if isinstance(value, list):
            start, end = self.any("[]", "[]", "()", "{}" if value else "[]")
            members = [(index, self.scalar(item)) for index, item in enumerate(value)]
            comma = start == "(" and len(value) == 1
            text = f"{start}{self.opening(margin, key)}{self.members(members, margin, key, comma)}{end}"
            return str(self.any(text, f"({text})"))
        if isinstance(value, dict):
            members = [(index, f"{self.scalar(name)}: {value[name]}") for index, name in enumerate(value)]
            return f"{{{self.opening(margin, key)}{self.members(members, margin, key)}}}"
        return self.scalar(value)

    def script(self, arguments: Mapping[str, Any]) -> str:
        before, after, inside, members = "", "", [], []
        for key, value in arguments.items():
            written = self.value(key, value, "        ")
            home = self.any("call", "call", "constant", "shared", "dict")
            if home in ("constant", "shared"):
                before += f"{key.upper()} = {written}\n"
                after += f"print({key.upper()})  {self.comment([])}\n" if home == "shared" else ""
                written = key.upper()
            if home == "dict":
                inside.append((key, f"'{key}': {written}"))
            else:
                members.append((key, f"{key}{self.any('=', ' = ')}{written}"))
        if inside:
            members.append(("**", f"**{{{self.opening('      ', '**')}{self.members(inside, '      ', 'call')}}}"))
        for extra in self.draw(st.sets(st.sampled_from(["a=f(1, [2], {3: 4}, b='x')", "b=lambda x, y: (x, y)"]))):
            members.insert(self.any(*range(len(members) + 1)), (extra, extra))
        call = f"Config({self.opening('    ', 'call')}{self.members(members, '    ', 'call')})"
        lead = self.any("", "s = 'é😀\u2028'; ")
        return f"{before}{lead}config = {call}  {self.comment([])}\n{after}print(config, r=1)\n"


def without(text: str, keys: set[str], rewritten: bool) -> str:
    """The syntax of a script without some arguments of its ``Config``, and, if those were to be rewritten, without
    the value of constants that nothing else uses."""
    module = ast.parse(text)
    constants = {key.upper() for key in keys if text.count(f"print({key.upper()})") == 0}
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Config":
            for inner in [keyword.value for keyword in node.keywords if isinstance(keyword.value, ast.Dict)]:
                pairs = [
                    (key, value)
                    for key, value in zip(inner.keys, inner.values, strict=True)
                    if not (isinstance(key, ast.Constant) and key.value in keys)
                ]
                inner.keys, inner.values = [key for key, _ in pairs], [value for _, value in pairs]
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in keys]
        if rewritten and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            node.value = ast.Constant(0) if node.targets[0].id in constants else node.value
    return ast.dump(module)


def comments(text: str) -> list[str]:
    lines = io.StringIO(text.replace("\r\n", "\n").replace("\r", "\n")).readline
    return [token.string for token in tokenize.generate_tokens(lines) if token.type == tokenize.COMMENT]


def may_go(owner: tuple[str, Any], arguments: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether a change takes out the member that a comment belongs to."""
    key, index = owner
    if key in ("call", "**"):
        return index in changes and changes[index] is None
    if key not in changes:
        return False
    old, new = arguments[key], changes[key]
    if new is None or index is None:
        return new is None
    if isinstance(old, dict):
        name = list(old)[index]
        return not (isinstance(new, dict) and new.get(name) == old[name])
    return not isinstance(new, list) or old != new


@given(
    ARGUMENTS,
    st.dictionaries(KEYS, st.one_of(st.none(), DATA), max_size=3),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.data(),
)
def test_a_change_touches_nothing_else(
    arguments: dict[str, Any], changes: dict[str, Any], newline: str, data: st.DataObject
) -> None:
    writer = Writer(data)
    text = writer.script(arguments).replace("\n", newline)
    changes = {key: value for key, value in changes.items() if value is not None or key in arguments}
    before = entries(script(text), "Config")
    assert {key: before[key] for key in arguments} == arguments
    after = changed(text, changes, "Config")
    wanted = {key: value for key, value in {**before, **changes}.items() if value is not None}
    assert entries(script(after), "Config") == wanted
    assert without(after, set(changes), True) == without(text, set(changes), True)
    kept = [
        comment
        for comment in comments(text)
        if not (owners := writer.owners[comment]) or not all(may_go(owner, arguments, changes) for owner in owners)
    ]
    left = comments(after)
    assert [comment for comment in left if comment in kept] == kept
    assert after.count("\n") == after.count(newline) * newline.count("\n")
    if all(repr(arguments.get(key)) == repr(value) for key, value in changes.items()):
        assert after == text


@given(st.lists(NAMES, unique=True, max_size=5), st.data())
def test_items_that_stay_stay_to_the_letter(names: list[str], data: st.DataObject) -> None:
    writer = Writer(data)
    written = [writer.scalar(name) for name in names]
    members = writer.members(list(enumerate(written)), "    ", "it")
    text = f"config = Config(it=[{writer.opening('    ', 'it')}{members}])\n"
    left = [number for number in range(len(names)) if data.draw(st.booleans())]
    new = data.draw(st.lists(st.sampled_from(["x", "y", "z"]), unique=True, max_size=2))
    after = changed(text, {"it": [names[number] for number in left] + new}, "Config")
    at = -1
    for number in left:
        at = after.index(written[number], at + 1)
    kept = {comment for comment, owners in writer.owners.items() if any(owner[1] in (None, *left) for owner in owners)}
    assert kept <= set(comments(after))
