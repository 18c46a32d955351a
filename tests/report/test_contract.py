"""The JSON contract: every document validates, and the schema knows what the core types know."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from archlint.core.blueprint import Kind, Role, Scope
from archlint.core.finding import Evidence, Finding, FoldedSites, Location, Remedy, Severity
from archlint.core.report import Dying, Run
from archlint.core.safety import Safety
from archlint.core.suppression import Suppressed
from archlint.core.training import Trained, Trainer, Training
from archlint.core.trial import Crash
from archlint.report import contract, json_document, json_lines

from .conftest import ENVIRONMENT, trained

VALIDATOR = Draft202012Validator(contract.schema())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(contract.schema())


def test_documents_validate(run: Run) -> None:
    VALIDATOR.validate(json.loads(json_document.render(run)))


def test_each_line_is_a_document_of_its_own(several: Run) -> None:
    lines = json_lines.render(several).splitlines()
    documents = [json.loads(line) for line in lines]
    assert [document["reports"][0]["source"] for document in documents] == [r.source for r in several.reports]
    assert [document["summary"]["unchecked"] for document in documents] == [0, 0, 1]
    for document in documents:
        VALIDATOR.validate(document)
        assert len(document["reports"]) == 1
        assert document["environment"]["peft"] == "0.21.2"


def test_what_a_finding_holds(gemma: Run) -> None:
    (report,) = contract.document(gemma)["reports"]
    finding = report["findings"][0]
    assert report["status"] == "findings"
    assert report["model"]["class"] == "Gemma4ForConditionalGeneration"
    assert finding["severity"] == "error"
    assert sum(sites["count"] for sites in finding["sites"]) == 232
    assert {sites["role"] for sites in finding["sites"]} == {"vision", "audio"}
    assert finding["location"] == {"file": "transformers/models/gemma4/modeling_gemma4.py", "line": 175}
    assert [(r["safety"], r["proven"]) for r in finding["remedies"]] == [
        ("exact", True),
        ("exact", True),
        ("lossy", False),
    ]


def test_what_a_trial_holds(gemma: Run, clean: Run) -> None:
    (report,) = contract.document(gemma)["reports"]
    default, everything, names = report["stock"]
    assert default["trial"]["raised"] == "ValueError: Please specify `target_modules`"
    assert (everything["name"], everything["trial"]["adapted"], everything["trial"]["outside_scope"]) == (
        "all-linear",
        525,
        249,
    )
    assert names["trial"]["raised"].startswith("ValueError: Target module Gemma4ClippableLinear(\n")
    assert report["plan"] is None
    assert report["recipe"]["trial"]["forward"] == "ok"
    (report,) = contract.document(clean)["reports"]
    assert report["plan"] == {
        "tuner": "LORA",
        "lora": {"r": 16, "target_modules": ["q_proj", "v_proj"]},
        "trial": {
            "raised": None,
            "adapted": 64,
            "patterns": ["layers.{0..63}"],
            "coverage": 0.0961,
            "outside_scope": 0,
            "trainable": 0,
            "forward": "ok",
            "crash": None,
            "ran_on": "meta",
            "dead": [],
            "saved_dead": [],
            "muted": {},
            "notices": [],
        },
        "trainable_share": 0.0,
        "bytes": 0,
        "adapts": [],
    }


def test_where_the_users_file_says_it_and_what_would_change_there(planned: Run) -> None:
    document = contract.document(planned)
    VALIDATOR.validate(document)
    (report,) = document["reports"]
    assert report["plan"]["tuner"] == "LORA"
    dropped, routed, experts, _ = report["findings"]
    assert routed["plan_line"] == {"file": "runs/train.yml", "line": 4, "key": "lora_target_modules"}
    assert experts["plan_line"] is None
    (remedy,) = dropped["remedies"]
    assert remedy["edits"] == [
        {"file": "runs/train.yml", "line": 5, "key": "lora_dropout", "text": ""},
        {
            "file": "runs/train.yml",
            "line": 6,
            "key": "lora_target_parameters",
            "text": "lora_target_parameters: [mlp.experts.gate_up_proj]",
        },
    ]


def test_what_is_suppressed_is_apart_and_does_not_count(gemma: Run) -> None:
    (report,) = gemma.reports
    first, second, *others = report.findings
    suppressed = (Suppressed(first, Location("own.py", 3), "as meant"), Suppressed(second, Location("own.py", 9)))
    run = Run(ENVIRONMENT, (dataclasses.replace(report, findings=tuple(others), suppressed=suppressed),))
    document = contract.document(run)
    VALIDATOR.validate(document)
    (told,) = document["reports"]
    assert (told["status"], document["summary"]["errors"], document["summary"]["warnings"]) == ("clean", 0, 0)
    assert run.exit_code(Severity.WARNING) == 0
    assert [found["code"] for found in told["findings"]] == [finding.code for finding in others]
    assert [(one["code"], one["file"], one["line"], one["reason"]) for one in told["suppressed"]] == [
        ("ARC101", "own.py", 3, "as meant"),
        ("ARC601", "own.py", 9, None),
    ]
    assert told["suppressed"][0]["fingerprint"] == first.fingerprint
    assert told["suppressed"][0]["message"] == first.message
    for field, wrong in (("line", 0), ("file", None), ("severity", "fatal")):
        kept, told["suppressed"][0][field] = told["suppressed"][0][field], wrong
        with pytest.raises(ValidationError):
            VALIDATOR.validate(document)
        told["suppressed"][0][field] = kept


@pytest.mark.parametrize("line", [0, "4", None])
def test_the_schema_wants_lines_from_one(planned: Run, line: object) -> None:
    document = contract.document(planned)
    finding = document["reports"][0]["findings"][0]
    for place in (finding["plan_line"], finding["remedies"][0]["edits"][0]):
        kept, place["line"] = place["line"], line
        with pytest.raises(ValidationError):
            VALIDATOR.validate(document)
        place["line"] = kept
    VALIDATOR.validate(document)


def test_an_unchecked_report_has_no_model(unchecked: Run) -> None:
    document = contract.document(unchecked)
    assert document["reports"][0]["model"] is None
    assert document["reports"][0]["recipe"] is None
    assert document["reports"][0]["status"] == "unchecked"
    assert document["summary"] == {"errors": 0, "warnings": 0, "infos": 0, "unchecked": 1}


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (("report", "scope"), Scope),
        (("finding", "severity"), Severity),
        (("finding", "evidence"), Evidence),
        (("remedy", "safety"), Safety),
        (("sites", "kind"), Kind),
        (("sites", "role"), Role),
    ],
)
def test_the_schema_knows_every_word(path: tuple[str, str], known: type[Any]) -> None:
    definition, field = path
    assert contract.schema()["$defs"][definition]["properties"][field]["enum"] == [word.value for word in known]


@pytest.mark.parametrize("key", ["schema", "archlint", "environment", "reports", "summary"])
def test_the_schema_misses_what_is_missing(gemma: Run, key: str) -> None:
    document = contract.document(gemma)
    del document[key]
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document)


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("reports", 0, "status"), "fine"),
        (("reports", 0, "model", "origin"), "moon"),
        (("reports", 0, "model", "parameters"), -1),
        (("reports", 0, "findings", 0, "severity"), "fatal"),
        (("reports", 0, "findings", 0, "sites", 0, "count"), 0),
        (("reports", 0, "findings", 0, "remedies", 0, "kind"), "magic"),
        (("reports", 0, "recipe", "trial", "coverage"), 1.5),
        (("reports", 0, "recipe", "trial", "raised"), False),
        (("reports", 0, "recipe", "lora", "target_modules"), 7),
        (("reports", 0, "stock", 0, "name"), "mine"),
        (("summary", "errors"), "1"),
    ],
)
def test_the_schema_catches_mistakes(gemma: Run, place: tuple[Any, ...], wrong: object) -> None:
    document: Any = contract.document(gemma)
    VALIDATOR.validate(document)
    *way, last = place
    part = document
    for step in way:
        part = part[step]
    assert last in part
    part[last] = wrong
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document)


def test_fields_may_be_added(gemma: Run) -> None:
    document = contract.document(gemma)
    document["reports"][0]["findings"][0]["new"] = 1
    VALIDATOR.validate(document)


def test_the_bytes_are_ascii_and_strict_json(hostile: Run) -> None:
    (report,) = hostile.reports
    (finding, *others) = report.findings
    odd = Remedy("other", "x", {"a": float("nan"), "b": {2, 1}, "c": (None, object)})
    report = dataclasses.replace(report, findings=(dataclasses.replace(finding, remedies=(odd,)), *others))
    text = json_document.render(Run(hostile.environment, (report,)))
    assert text.isascii()
    document = json.loads(text, parse_constant=pytest.fail)
    assert document["reports"][0]["findings"][0]["remedies"][0]["value"] == {
        "a": "nan",
        "b": [1, 2],
        "c": [None, "<class 'object'>"],
    }


class TestTrainers:
    """What trainers make of a model, in every field that tells of it."""

    TRAINED = Trained(Trainer.SFT, "1.16.0", (0.5, float("nan")), ("model.layers.0.q",), Crash("E", "no", "own.py", 7))
    TRAINING = Training(
        trainers=(Trainer.SFT, Trainer.REWARD, Trainer.TRANSFORMERS),
        fused_by=(Trainer.SFT,),
        trl="1.16.0",
        is_installed=True,
        has_router_logits=True,
        coefficient=0.01,
        auxiliary=Crash("E", "no"),
        trained=TRAINED,
    )

    def report(self, run: Run, training: Training = TRAINING, **fields: Any) -> Any:
        (report,) = run.reports
        document = json.loads(json_document.render(Run(ENVIRONMENT, (trained(report, training, **fields),))))
        VALIDATOR.validate(document)
        return document["reports"][0]

    def test_each_trainer_has_a_verdict(self, clean: Run) -> None:
        balancing = Finding("ARC705", "x", Severity.ERROR, "it raises", "", trainers=(Trainer.SFT,))
        odd = Finding("ARC707", "y", Severity.WARNING, "it copies", "", trainers=(Trainer.TRANSFORMERS,))
        said = Finding("ARC708", "z", Severity.INFO, "it counts", "", trainers=(Trainer.REWARD,))
        assert self.report(clean, findings=(balancing, odd, said))["trainers"] == [
            verdict("trl-sft", "1.16.0", "raises", "ARC705", arguments={"router_aux_loss_coef": 0.0}),
            verdict("trl-reward", "1.16.0", "runs"),
            verdict("transformers", ENVIRONMENT.transformers, "differs", "ARC707", flaws=["loss"]),
        ]

    def test_what_a_real_trial_came_to(self, clean: Run) -> None:
        assert self.report(clean)["trial_train"] == {
            "trainer": "trl-sft",
            "version": "1.16.0",
            "raised": "E: no (own.py:7)",
            "losses": [0.5, "nan"],
            "dead": ["model.layers.0.q"],
            "not_tried": None,
        }
        untried = dataclasses.replace(self.TRAINING, trained=Trained(reason="TRL is not installed"))
        assert self.report(clean, untried)["trial_train"]["not_tried"] == "TRL is not installed"
        assert self.report(clean, Training())["trial_train"] is None

    @pytest.mark.parametrize(
        ("training", "needs"),
        [
            (TRAINING, {"router_aux_loss_coef": 0.0}),
            (Training(), {}),
            (dataclasses.replace(TRAINING, fused=Crash("E", "no")), None),
        ],
    )
    def test_what_is_needed_beside_the_recipe(self, clean: Run, training: Training, needs: Any) -> None:
        assert self.report(clean, training)["recipe"]["trainer"] == needs

    def test_whom_a_finding_concerns_and_what_its_remedies_change(self, clean: Run) -> None:
        remedies = (
            Remedy("setting", "off", training={"gradient_checkpointing": False}, proven=True),
            Remedy("other", "another", trainer=Trainer.TRANSFORMERS),
            Remedy("other", "neither"),
        )
        finding = Finding(
            "ARC704", "x", Severity.ERROR, "m", "", remedies=remedies, trainers=(Trainer.SFT, Trainer.DPO)
        )
        (found,) = self.report(clean, findings=(finding,))["findings"]
        assert found["trainers"] == ["trl-sft", "trl-dpo"]
        assert [(remedy["trainer_args"], remedy["trainer"]) for remedy in found["remedies"]] == [
            ({"gradient_checkpointing": False}, None),
            (None, "transformers"),
            (None, None),
        ]

    def test_adapters_that_die_in_training(self, gemma: Run) -> None:
        fold = FoldedSites("layers.{0..1}.q_proj", 2, "Linear", "linear", "text")
        assert self.report(gemma, dying=(Dying("all-linear", (fold,)),))["dead_in_training"] == [
            {
                "plan": "all-linear",
                "sites": [
                    {"pattern": fold.pattern, "count": 2, "class": "Linear", "kind": "linear", "role": "text"},
                ],
            }
        ]

    def test_the_schema_knows_every_trainer(self) -> None:
        assert contract.schema()["$defs"]["trainer"]["enum"] == [trainer.value for trainer in Trainer]

    @pytest.mark.parametrize(
        ("place", "wrong"),
        [
            (("trainers", 0, "trainer"), "trl-ppo"),
            (("trainers", 0, "status"), "fine"),
            (("trainers", 0, "installed"), "yes"),
            (("trainers", 0, "codes"), "ARC705"),
            (("trial_train", "losses"), 0.5),
            (("trial_train", "trainer"), None),
            (("recipe", "trainer"), []),
        ],
    )
    def test_the_schema_catches_mistakes(self, clean: Run, place: tuple[Any, ...], wrong: object) -> None:
        (report,) = clean.reports
        document: Any = contract.document(Run(ENVIRONMENT, (trained(report, self.TRAINING),)))
        *way, last = place
        part = document["reports"][0]
        for step in way:
            part = part[step]
        part[last] = wrong
        with pytest.raises(ValidationError):
            VALIDATOR.validate(json.loads(json.dumps(document)))


def verdict(trainer: str, version: str | None, status: str, *codes: str, **fields: Any) -> dict[str, Any]:
    found = {"trainer": trainer, "version": version, "installed": True, "status": status, "codes": list(codes)}
    return {**found, "flaws": [], "takes": None, "arguments": {}, **fields}
