"""The page as a file: it is whole, asks for nothing, and holds what was found. What it does is in test_page.py."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import archlint.report.html
from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, Severity
from archlint.core.folding import fold
from archlint.core.report import Run
from archlint.core.training import Trainer
from archlint.core.verdicts import Verdict
from archlint.report import html, proposal
from archlint.report.contract import document

from .strategies import RUNS

PAGE = Path(archlint.report.html.__file__).parent / "page"
RULES = list(Catalog.load().rules.values())


class Page(HTMLParser):
    """What a browser would make of the file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        """The text between each start tag and the next tag."""
        self._is_open = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        self._is_open = True

    def handle_endtag(self, tag: str) -> None:
        self._is_open = False

    def handle_data(self, data: str) -> None:
        if self._is_open:
            self.texts[-1] += data

    def inside(self, tag: str) -> list[tuple[Mapping[str, str | None], str]]:
        return [(attrs, text) for (name, attrs), text in zip(self.elements, self.texts, strict=True) if name == tag]

    @property
    def data(self) -> dict[str, Any]:
        [text] = [text for attrs, text in self.inside("script") if attrs.get("type") == "application/json"]
        return dict(json.loads(text))


def page(*runs: Run) -> Page:
    return Page(html.render(runs, rules=RULES))


def test_the_contract_is_in_it_as_it_is(run: Run) -> None:
    held = [entry["document"] for entry in page(run, run).data["runs"]]
    assert held == [json.loads(json.dumps(document(run)))] * 2


def test_nothing_in_it_asks_for_anything(run: Run) -> None:
    for tag, attrs in page(run).elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "action", "data", "srcset"):
            assert (attrs.get(name) or "#").startswith(("#", "data:")), (tag, attrs)
    assert "@import" not in (PAGE / "page.css").read_text()
    assert "url(" not in (PAGE / "page.css").read_text()


def test_its_policy_allows_its_own_scripts_and_style_and_nothing_else(run: Run) -> None:
    made = page(run)
    [policy] = [
        attrs["content"] for tag, attrs in made.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    allowed = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert "unsafe" not in policy

    def hashes(tag: str) -> set[str]:
        contents = [text for attrs, text in made.inside(tag) if attrs.get("type") != "application/json"]
        return {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in contents}

    assert set(allowed["script-src"].split()) == hashes("script")
    assert set(allowed["style-src"].split()) == hashes("style")


def test_names_are_text_wherever_they_are(hostile: Run) -> None:
    [report] = hostile.reports
    evil = "</script><img src=x onerror=alert(1)>\"'<!--\u2028&amp;"
    text = html.render([replace(hostile, reports=(replace(report, source=evil),))], rules=RULES)
    made = Page(text)
    assert made.data["runs"][0]["document"]["reports"][0]["source"] == evil
    assert "img" not in [tag for tag, _ in made.elements]
    [(_, title)] = made.inside("title")
    [(_, cell), *_] = made.inside("td")
    assert title == f"{evil.replace(chr(0x2028), chr(92) + 'u2028')} · archlint"
    assert cell == title.removesuffix(" · archlint")


@settings(max_examples=15, deadline=None)
@given(RUNS)
def test_no_name_ends_a_script_or_starts_an_element(run: Run) -> None:
    made = page(run)
    assert made.data["runs"][0]["document"] == json.loads(json.dumps(document(run)))
    assert len(made.inside("td")) == 6 * len(run.reports)
    assert len(made.inside("script")) == 3


def test_any_stream_can_carry_it(hostile: Run) -> None:
    text = html.render([hostile], rules=RULES)
    assert text.isascii()
    assert "\r" not in text, "a browser would read it as another line break, and the hash would be another"


def test_without_scripts_there_is_a_table(several: Run) -> None:
    cells = [text for _, text in page(several).inside("td")]
    rows = [cells[n : n + 6] for n in range(0, len(cells), 6)]
    assert rows == [
        ["google/gemma-4", "1", "1", "3", "0", "findings"],
        ["meta-llama/Llama-3.1-8B", "0", "0", "1", "0", "clean"],
        ["gogle/gemma-4", "–", "–", "–", "1", "unchecked"],
    ]


def test_families_are_the_packages_of_the_rules_and_what_else_was_found(clean: Run) -> None:
    own = Finding("OWN100", "many-norms", Severity.INFO, "100 norms", "")
    [report] = clean.reports
    found = replace(clean, reports=(replace(report, findings=(own,)),))
    families = {family["prefix"]: family for family in page(found).data["families"]}
    assert {prefix: family["name"] for prefix, family in families.items()} == {
        "ARC1": "projections",
        "ARC2": "norms",
        "ARC3": "experts",
        "ARC4": "heads",
        "ARC5": "targeting",
        "ARC6": "towers",
        "ARC7": "trainers",
        "ARC8": "saving",
        "ARC9": "tool",
        "OWN1": "",
    }
    assert families["ARC3"]["title"] == "Experts, routers and gates"


def test_what_is_there_to_paste_is_what_other_formats_have(gemma: Run) -> None:
    [report] = gemma.reports
    needing = replace(report, verdicts=(Verdict(Trainer.SFT, "1.16.0", True, "runs", needs={"loss_type": "nll"}),))
    texts = page(replace(gemma, reports=(needing,))).data["runs"][0]["texts"][0]
    assert texts["recipe"]["source"] == proposal.source(needing)
    assert texts["recipe"]["source"].endswith('SFTConfig(\n    loss_type="nll",\n)')
    assert texts["recipe"]["standing"] == "recipe"


def test_a_remedy_of_one_argument_or_of_a_files_lines_can_be_pasted(gemma: Run, planned: Run) -> None:
    texts = page(gemma, planned).data["runs"]
    wrapped, tower, *_ = texts[0]["texts"][0]["remedies"]
    assert wrapped == [None, r'target_modules=r".*_tower\..*\.linear"', None], "the recipe is shown once, and elsewhere"
    assert tower == ['exclude_modules=".*(vision_tower|audio_tower|embed_vision|embed_audio).*"']
    assert texts[1]["texts"][0]["remedies"][1] == ["runs/train.yml:4  lora_target_modules: [q_proj, v_proj]"]


def test_no_run_is_a_page_too() -> None:
    assert page().data["runs"] == []


def node(*arguments: str) -> str:
    """What node prints; the test is left out where there is none."""
    command = shutil.which("node")
    if command is None:
        pytest.skip("node is not installed")
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_is_joined() -> None:
    assert {path.stem for path in PAGE.glob("*.js")} == {"theme", *html.SCRIPTS}


def test_the_scripts_are_javascript(tmp_path: Path) -> None:
    made = page().inside("script")
    kinds = {"module": ".mjs", None: ".js"}
    for number, (attrs, text) in enumerate(made):
        if (suffix := kinds.get(attrs.get("type"))) is not None:
            file = tmp_path / f"{number}{suffix}"
            file.write_text(text, encoding="utf-8")
            node("--check", str(file))


def test_no_script_writes_markup() -> None:
    for path in PAGE.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", path.read_text()), path


TREE = """
const vm = require("vm"), fs = require("fs");
const context = {};
vm.createContext(context);
vm.runInContext(fs.readFileSync(process.argv[1], "utf8"), context);
const { modules, what } = JSON.parse(process.argv[2]);
const tree = context.moduleTree(modules, (module) => module.recipe);
const plain = ({ path, indices, sites, parameters, adapted, children }) =>
  ({ path, indices, sites, parameters, adapted, children: children.map(plain) });
console.log(JSON.stringify(plain(tree)));
"""


def tree(*modules: Mapping[str, Any]) -> dict[str, Any]:
    whole = [{"class": "Linear", "kind": "linear", "role": "text", "recipe": False, **module} for module in modules]
    return dict(json.loads(node("-e", TREE, str(PAGE / "tree.js"), json.dumps({"modules": whole}))))


def leaves(node: Mapping[str, Any]) -> dict[str, float]:
    """The paths of a tree without children, and their parameters."""
    if not node["children"]:
        return {node["path"]: node["parameters"]}
    return {path: size for child in node["children"] for path, size in leaves(child).items()}


def test_a_tree_has_the_names_that_were_folded() -> None:
    paths = ["a.b,c.d", "a.{x}.d", "back\\slash.d", "plain", "layers.3.up_proj", "layers.3.down_proj", "m.0b", "m.1b"]
    modules = [{"pattern": pattern, "count": 1, "parameters": 1} for pattern in fold(paths)]
    assert set(leaves(tree(*modules))) == set(paths)


def test_layers_that_are_alike_are_one_node() -> None:
    made = tree(
        {"pattern": "layers.{0..3,6..9}.self_attn.{q,k}_proj", "count": 16, "parameters": 1600, "recipe": True},
        {"pattern": "layers.{4,5}.{cross_attn,self_attn}.q_proj", "count": 4, "parameters": 400},
        {"pattern": "layers.{0..9}.norm", "count": 10, "parameters": 10},
    )
    [layers] = made["children"]
    assert [(child["path"], child["indices"]) for child in layers["children"]] == [
        ("layers.{0..3,6..9}", 8),
        ("layers.{4,5}", 2),
    ]
    assert leaves(made) == {
        "layers.{0..3,6..9}.self_attn.q_proj": 800,
        "layers.{0..3,6..9}.self_attn.k_proj": 800,
        "layers.{0..3,6..9}.norm": 8,
        "layers.{4,5}.cross_attn.q_proj": 200,
        "layers.{4,5}.self_attn.q_proj": 200,
        "layers.{4,5}.norm": 2,
    }
    assert (made["parameters"], made["sites"], made["adapted"]) == (2010, 30, 16)


def test_layers_that_were_folded_apart_and_look_the_same_are_one_node() -> None:
    made = tree(
        {"pattern": "layers.{0..3}.up", "count": 4, "parameters": 40},
        {"pattern": "layers.4.up", "count": 1, "parameters": 10},
        {"pattern": "layers.{5,6}.up", "count": 2, "parameters": 40},
    )
    assert leaves(made) == {"layers.{0..4}.up": 50, "layers.{5,6}.up": 40}


def test_a_pattern_that_stands_for_too_much_is_a_name() -> None:
    assert leaves(tree({"pattern": "a.{0..99999999999}", "count": 3, "parameters": 3})) == {"a.0..99999999999": 3}
