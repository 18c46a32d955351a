"""What holds for all trainers' dialects: what is written is read as such, and nothing is passed over in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlint.core.trial import LORA
from archlint.plans import peft_configs
from archlint.plans.dialect import Reading
from archlint.plans.dialects import DIALECTS
from archlint.plans.dialects.axolotl import Axolotl
from archlint.plans.dialects.flat import FlatDialect, known_keys
from archlint.plans.dialects.llama_factory import LlamaFactory
from archlint.plans.dialects.ms_swift import MsSwift
from archlint.plans.dialects.trl import Trl
from archlint.plans.dialects.unsloth import Unsloth, UnslothCommand
from archlint.plans.document import Document, PlanError
from archlint.plans.documents.command_document import CommandDocument
from archlint.plans.documents.json_document import JsonDocument
from archlint.plans.documents.python_document import PythonDocument
from archlint.plans.documents.yaml_document import YamlDocument

KINDS: dict[FlatDialect, type[Document]] = {
    Axolotl(): YamlDocument,
    LlamaFactory(): YamlDocument,
    Trl(): YamlDocument,
    MsSwift(): YamlDocument,
    Unsloth(): PythonDocument,
    UnslothCommand(): CommandDocument,
}
by_title = pytest.mark.parametrize("dialect", KINDS, ids=lambda dialect: dialect.title)

NAMES = st.lists(st.from_regex(r"[a-z]{1,6}(\.[a-z0-9_]{1,5})?", fullmatch=True), min_size=1, max_size=4, unique=True)
EXPRESSIONS = st.sampled_from([r".*\.(q|v)_proj", r"^(?!.*vision).*\d+$", "it's|a", "(.*\\.)?layers\\.[0-9]+\\..*"])
TARGETS = st.one_of(NAMES, EXPRESSIONS, st.just("all-linear"))
ARGUMENTS = st.fixed_dictionaries(
    {"target_modules": TARGETS},
    optional={
        "r": st.integers(1, 512),
        "lora_alpha": st.integers(1, 512),
        "lora_dropout": st.floats(0, 0.5),
        "target_parameters": NAMES,
        "exclude_modules": TARGETS.filter(lambda value: value != "all-linear"),
        "modules_to_save": NAMES,
        "use_dora": st.booleans(),
        "use_rslora": st.booleans(),
        "init_lora_weights": st.sampled_from(["pissa", "pissa_niter_4", "olora"]),
        "rank_pattern": st.dictionaries(st.sampled_from(["q_proj", r"^model\.x"]), st.integers(1, 64), min_size=1),
        "layers_to_transform": st.lists(st.integers(0, 40), min_size=1, unique=True),
    },
)


def read(dialect: FlatDialect, text: str, kind: type[Document] | None = None) -> Reading:
    document = (kind or next(found for one, found in KINDS.items() if type(one) is type(dialect)))(Path("plan"), text)
    claims = dialect.claims(document)
    assert claims, f"{dialect.title} does not know this for its own:\n{text}"
    return dialect.read(document, max(claims, key=lambda claim: claim[0])[1])


def same(dialect: FlatDialect, argument: str, value: Any, found: Any) -> bool:
    """Whether ``found`` means ``value``; what is PEFT's default is left out of a reading."""
    if found is None:
        return bool(peft_configs.config_class(LORA).arguments[argument] == value)
    if argument == "target_modules" and value == "all-linear":
        return found in ("all-linear", ["all"], ["all-linear"])
    if isinstance(dialect, Trl) and argument == "target_modules" and isinstance(value, list) and len(value) == 1:
        return isinstance(found, str) and found.endswith(value[0].replace(".", r"\."))
    return bool(found == value)


@by_title
@given(arguments=ARGUMENTS)
def test_what_a_fragment_says_is_read_from_it(dialect: FlatDialect, arguments: dict[str, Any]) -> None:
    try:
        text = dialect.fragment(arguments, "owner/model")
    except PlanError:
        known = {key.argument for key in dialect.keys} | (
            {"init_lora_weights"} if isinstance(dialect, LlamaFactory) else set()
        )
        pissa = str(arguments.get("init_lora_weights", "pissa")).startswith("pissa")
        assert not arguments.keys() <= known or not dialect.means.allow(arguments) or not pissa
        return
    reading = read(dialect, text)
    wrong = {
        key: reading.arguments.get(key)
        for key, value in arguments.items()
        if not same(dialect, key, value, reading.arguments.get(key))
    }
    assert wrong == {}, text
    assert (reading.base_model, reading.unknown) == ("owner/model", ())
    assert reading.tuner == LORA


@by_title
def test_no_other_tool_claims_a_fragment_as_surely(dialect: FlatDialect) -> None:
    text = dialect.fragment({"target_modules": ["q_proj", "v_proj"], "r": 8, "lora_alpha": 16}, "owner/model")
    document = KINDS[dialect](Path("plan"), text)
    claims = {other.name: max((count for count, _ in other.claims(document)), default=0) for other in DIALECTS}
    own = claims.pop(dialect.name)
    assert own > max(claims.values())


@by_title
def test_a_means_that_is_not_there_is_refused(dialect: FlatDialect) -> None:
    for means, arguments in (
        (dialect.means.expression, {"target_modules": ".*q_proj"}),
        (dialect.means.exclusion, {"exclude_modules": ["a"]}),
        (dialect.means.parameters, {"target_parameters": ["experts.down_proj"]}),
    ):
        if means:
            assert dialect.spell(arguments)
        else:
            with pytest.raises(PlanError, match="has no"):
                dialect.spell(arguments)


@by_title
def test_a_misspelt_key_is_told(dialect: FlatDialect) -> None:
    good = dialect.fragment({"target_modules": ["q_proj", "v_proj"], "lora_alpha": 16}, "m")
    reading = read(dialect, good.replace("lora_alpha", "lora_alhpa").replace("lora-alpha", "lora-alhpa"))
    (remark,) = reading.unknown
    assert "has no key lora_alhpa; did you mean lora_alpha?" in remark.text
    assert "lora_alh" in good.replace("lora_alpha", "lora_alhpa").replace("-", "_").splitlines()[remark.line - 1] or (
        KINDS[dialect] is CommandDocument
    )


@by_title
def test_the_keys_that_are_read_are_keys_of_the_tool(dialect: FlatDialect) -> None:
    version, known = known_keys(dialect.table)
    own = {key.name for key in dialect.keys}
    if isinstance(dialect, Unsloth):  # hands what it does not name itself to LoraConfig
        known |= peft_configs.config_class(LORA).arguments.keys()
    assert own - known <= {"lora_exclude_modules"}
    assert version.count(".") == 2


@by_title
@pytest.mark.parametrize("bad", ["eight", [1], {"a": 1}])
def test_a_value_of_another_type_is_refused_with_its_line(dialect: FlatDialect, bad: Any) -> None:
    rank = next(key.name for key in dialect.keys if key.argument == "r")
    good = dialect.fragment({"target_modules": ["q_proj", "v_proj"], "r": 4444}, "m")
    with pytest.raises(PlanError, match=rf"plan:\d+: {rank} must be a whole number, not"):
        read(dialect, good.replace("4444", json.dumps(bad) if KINDS[dialect] is not CommandDocument else "eight"))


@pytest.mark.parametrize(
    ("dialect", "kind", "text"),
    [
        (Trl(), PythonDocument, "ModelConfig(use_peft=True, lora_target_modules=find(model))"),
        (Unsloth(), PythonDocument, "FastModel.get_peft_model(model, target_modules=names + ['o_proj'])"),
        (MsSwift(), CommandDocument, "swift sft --model m --target_modules $TARGETS --tuner_type lora"),
        (LlamaFactory(), CommandDocument, "llamafactory-cli train --model_name_or_path m --lora_target $(targets)"),
    ],
)
def test_computed_targets_are_refused_and_other_computed_values_told(
    dialect: FlatDialect, kind: type[Document], text: str
) -> None:
    with pytest.raises(PlanError, match=r"plan:1: \w+ is computed; archlint reads literals only"):
        read(dialect, text, kind)


def test_a_computed_rank_is_told() -> None:
    reading = read(Unsloth(), "FastModel.get_peft_model(model, r=rank, target_modules=['q_proj'])", PythonDocument)
    assert [remark.text for remark in reading.unknown] == ["r is computed; archlint takes unsloth's default"]
    assert reading.arguments["r"] == 16


@pytest.mark.parametrize(
    ("dialect", "text", "why"),
    [
        (Axolotl(), "base_model: m\nlora_r: 8\n", "no adapter"),
        (Axolotl(), "base_model: m\nadapter: llama-adapter\n", "is no LoRA"),
        (LlamaFactory(), "model_name_or_path: m\nfinetuning_type: full\n", "finetuning_type is full"),
        (Trl(), "model_name_or_path: m\nlora_r: 8\n", "use_peft is not there"),
        (Trl(), "model_name_or_path: m\nuse_peft: false\n", "use_peft is false"),
        (MsSwift(), "model: m\ntuner_type: full\n", "tuner_type is full"),
        (MsSwift(), "model: m\ntrain_type: full\n", "tuner_type is full"),
    ],
)
def test_adapters_that_are_switched_off_are_told(dialect: FlatDialect, text: str, why: str) -> None:
    with pytest.raises(PlanError, match=f"plan:.: .*{why}"):
        read(dialect, text)


def test_json_is_read_like_yaml() -> None:
    settings = {"model": "m", "tuner_type": "lora", "target_regex": r".*\.q_proj", "lora_rank": 16}
    reading = read(MsSwift(), json.dumps(settings), JsonDocument)
    assert reading.arguments["target_modules"] == r".*\.q_proj"
    assert reading.keys["r"] == ("lora_rank",)


def test_a_key_at_the_default_of_peft_has_its_place_too() -> None:
    reading = read(MsSwift(), "model: m\ntuner_type: lora\nlora_rank: 8\nlora_dropout_p: 0.0\n")
    assert (reading.keys["r"], reading.keys["lora_dropout"]) == (("lora_rank",), ("lora_dropout_p",))
    assert not {"r", "lora_dropout"} & reading.arguments.keys()
