"""What trainers make of a model, from a source or a live model to its report."""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archlint
from archlint import engine
from archlint.core.catalog import Catalog
from archlint.core.finding import Finding, Severity
from archlint.core.report import Report
from archlint.core.trial import Plan
from archlint.core.verdicts import Flaw, Verdict
from archlint.engine import Options
from archlint.fixtures.toys import trainers as toys
from archlint.fixtures.toys.running import CacheBound
from archlint.sources import SourceOptions
from archlint.training import behaviour

SILENT = [
    *("llama", "mistral", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "granite", "olmo2", "cohere", "gpt2"),
    *("mixtral", "deepseek_v3", "qwen3_moe", "opt"),
]
"""Types of models that every trainer trains as they are."""


@cache
def checked(source: str, *trainers: str, **arguments: Any) -> Report:
    """A report about trainers alone; ``none`` for nobody, and by default whom nobody names."""
    named = [] if trainers == ("none",) else list(trainers) or None
    model: Any = source
    if source.startswith("toy:"):
        model = getattr(toys, source.removeprefix("toy:"))()
    return archlint.lint(model, select=["ARC7"], trainers=named, trainer_args=arguments, offline=True)


def about_trainers(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.trainers]


def codes(report: Report) -> list[str]:
    return [finding.code for finding in about_trainers(report) if finding.severity is not Severity.INFO]


def verdicts(report: Report) -> dict[str, Verdict]:
    return {verdict.trainer.value: verdict for verdict in report.verdicts}


def statuses(report: Report) -> dict[str, str]:
    return {name: verdict.status for name, verdict in verdicts(report).items()}


class Broken(toys.Plain):
    """Its forward raises, whatever it is given."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no")


class BaselessUnshifted(toys.Baseless, toys.Unshifted):
    """Nothing that a trainer is told of it helps."""


class Net(nn.Module):
    """A model that knows nothing of transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 8)
        self.q_proj = nn.Linear(8, 16)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.q_proj(self.embed(input_ids))
        return logits


@pytest.mark.parametrize("name", SILENT)
def test_a_model_that_trains_as_it_is_gives_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": name, "num_hidden_layers": 6}))
    report = checked(str(tmp_path))
    assert codes(report) == []
    assert report.status == "clean"
    assert statuses(report) == {"trl-sft": "runs", "transformers": "runs"}
    assert report.trainer == {}


class TestWhom:
    @pytest.mark.parametrize("source", ["type:gpt2", "toy:Plain"])
    def test_what_generates_text_is_for_sft_and_transformers(self, source: str) -> None:
        assert list(statuses(checked(source))) == ["trl-sft", "transformers"]
        assert not checked(source).training.are_named

    @pytest.mark.parametrize("source", ["type:bert", "type:wav2vec2", "type:clip", "toy:rewarding"])
    def test_an_encoder_is_for_transformers_alone(self, source: str) -> None:
        assert statuses(checked(source)) == {"transformers": "runs"}

    @pytest.mark.parametrize("source", ["toy:Capped", "toy:Unbalanced", "toy:Baseless", "toy:Unsupporting"])
    def test_nobody_says_nothing(self, source: str) -> None:
        report = checked(source, "none")
        assert (about_trainers(report), statuses(report), report.trainer) == ([], {}, {})
        assert report.status == "clean"

    def test_what_is_of_the_model_is_said_all_the_same(self) -> None:
        report = archlint.lint(CacheBound(), select=["ARC7"], trainers=[])
        assert [finding.code for finding in report.findings] == ["ARC703"]

    def test_a_reward_model_is_built_as_a_classifier(self) -> None:
        report = checked("type:llama", "trl-reward")
        assert report.model is not None
        assert report.model.class_name == "LlamaForSequenceClassification"
        assert (report.status, statuses(report), report.trainer) == ("clean", {"trl-reward": "runs"}, {})

    def test_a_live_model_that_is_no_classifier_is_no_reward_model(self) -> None:
        report = checked("toy:Plain", "trl-reward")
        assert (codes(report), report.trainer) == (["ARC706"], None)
        assert checked("toy:rewarding", "trl-reward").status == "clean"

    def test_a_type_without_a_classifier_is_no_reward_model(self) -> None:
        (finding,) = about_trainers(checked("type:cohere", "trl-reward"))
        (remedy,) = finding.remedies
        assert (finding.code, remedy.proven) == ("ARC706", False)
        assert "GenericForSequenceClassification" in remedy.text
        assert "no class for cohere" in finding.message

    def test_an_unknown_trainer(self) -> None:
        with pytest.raises(ValueError, match="trl-stf"):
            archlint.lint("type:gpt2", trainers=["trl-stf"], offline=True)

    def test_what_all_need_is_nothing_where_one_cannot_be_helped(self) -> None:
        assert checked("toy:Baseless", "trl-sft", "transformers").trainer is None
        assert checked("toy:Baseless", "transformers").trainer == {}

    def test_what_takes_no_text_is_no_error_where_nobody_names_a_trainer_of_text(self) -> None:
        report = checked("type:whisper")
        assert codes(report) == []
        assert report.status == "clean"

    @pytest.mark.parametrize(("source", "named"), [("type:wav2vec2", ["trl-sft"]), ("type:clip", ["trl-dpo"])])
    def test_whom_nobody_would_try_is_tried_where_they_are_named(self, source: str, named: list[str]) -> None:
        report = checked(source, *named)
        assert (codes(report), statuses(report)) == (["ARC706"], {named[0]: "raises"})


class TestWhatIsNeeded:
    @pytest.mark.parametrize(
        ("source", "needs"),
        [
            ("toy:Plain", {}),
            ("toy:Capped", {}),
            ("toy:Unbalanced", {"router_aux_loss_coef": 0.0}),
            ("toy:Unsupporting", {"gradient_checkpointing": False}),
            ("toy:Baseless", None),
            ("type:granitemoe", {"router_aux_loss_coef": 0.0}),
        ],
    )
    def test_beside_the_recipe(self, source: str, needs: dict[str, Any] | None) -> None:
        assert checked(source).trainer == needs
        assert checked(source, "transformers").trainer == {}

    @pytest.mark.parametrize("source", ["toy:Unbalanced", "toy:Unsupporting", "type:granitemoe"])
    def test_what_is_needed_mends_it_and_is_the_proven_remedy(self, source: str) -> None:
        report = checked(source)
        (finding,) = about_trainers(report)
        assert finding.severity is Severity.ERROR
        assert (finding.remedies[0].training, finding.remedies[0].proven) == (report.trainer, True)
        assert checked(source, **(report.trainer or {})).status == "clean"

    def test_a_remedy_that_leads_to_a_warning_is_not_proven(self) -> None:
        report = archlint.lint(BaselessUnshifted(), select=["ARC7"], trainers=["trl-sft"])
        (crash,) = [finding for finding in report.findings if finding.code == "ARC706"]
        other = [remedy for remedy in crash.remedies if remedy.trainer is not None]
        assert not any(remedy.proven for remedy in other)

    @pytest.mark.parametrize("source", ["toy:Unsupporting", "toy:Unbalanced"])
    def test_several_trainers_are_named_together(self, source: str) -> None:
        (finding,) = about_trainers(checked(source, "trl-sft", "trl-dpo"))
        who, verb = finding.message.split()[:3], finding.message.split()[3]
        assert who == ["SFTTrainer", "and", "DPOTrainer"]
        assert verb in ("turn", "add")


class TestVerdicts:
    @pytest.mark.parametrize(
        ("source", "trainer", "status", "codes"),
        [
            ("toy:Plain", "trl-kto", "runs", ()),
            ("toy:Capped", "trl-grpo", "differs", ("ARC701",)),
            ("toy:Unscaled", "trl-sft", "differs", ("ARC701",)),
            ("toy:Unbalanced", "trl-dpo", "raises", ("ARC705",)),
            ("toy:Unsupporting", "trl-sft", "raises", ("ARC704",)),
            ("toy:Baseless", "trl-sft", "raises", ("ARC706",)),
            ("toy:Unshifted", "transformers", "differs", ("ARC707",)),
            ("toy:Uncounting", "transformers", "runs", ()),
            ("toy:Plain", "trl-reward", "raises", ("ARC706",)),
        ],
    )
    def test_each_tells_why(self, source: str, trainer: str, status: str, codes: tuple[str, ...]) -> None:
        found = verdicts(checked(source, trainer))[trainer]
        assert (found.status, found.codes) == (status, codes)

    def test_what_raises_tells_why_where_nobody_would_try_it_too(self) -> None:
        found = verdicts(checked("type:whisper"))["trl-sft"]
        assert (found.status, found.codes) == ("raises", ("ARC706",))

    @pytest.mark.parametrize(
        ("source", "plan", "arguments", "trainer", "status", "flaws"),
        [
            ("Baseless", None, {}, "trl-sft", "raises", ()),
            ("Capped", None, {}, "trl-sft", "differs", (Flaw.LOSS,)),
            ("Plain", {"target_modules": ["q_proj", "lm_head"]}, {}, "trl-sft", "raises", ()),
            ("Unbalanced", None, {}, "trl-dpo", "raises", ()),
            ("Unsupporting", None, {}, "trl-sft", "raises", ()),
            ("Typed", None, {}, "trl-sft", "raises", ()),
            ("Unshifted", None, {}, "transformers", "differs", (Flaw.LOSS,)),
            ("Uncounting", None, {"gradient_accumulation_steps": 8}, "transformers", "differs", (Flaw.SCALE,)),
            (
                "Transformed",
                {"target_modules": ["q_proj", "dense"]},
                {},
                "trl-sft",
                "differs",
                (Flaw.LOSS, Flaw.ADAPTERS),
            ),
            ("Transformed", {"target_modules": ["q_proj"]}, {}, "trl-sft", "differs", (Flaw.LOSS,)),
            ("Plain", {"target_modules": ["q_proj"]}, {}, "trl-sft", "runs", ()),
        ],
    )
    def test_what_is_not_selected_is_still_known(
        self, source: str, plan: Any, arguments: Any, trainer: str, status: str, flaws: tuple[Flaw, ...]
    ) -> None:
        model = getattr(toys, source)()
        for choice in ({"select": ["ARC104"]}, {"select": ["ARC6", "ARC7"]}):
            report = archlint.lint(model, plan=plan, trainers=trainer, trainer_args=arguments, **choice)
            found = verdicts(report)[trainer]
            assert (found.status, found.flaws) == (status, flaws)
            assert bool(found.codes) is (choice["select"] != ["ARC104"] and status != "runs")

    def test_what_is_not_selected_is_needed_all_the_same(self) -> None:
        report = archlint.lint(toys.Baseless(), select=["ARC5"])
        assert (about_trainers(report), report.trainer) == ([], None)

    def test_a_model_of_no_text_raises_and_is_excused_unless_a_trainer_is_named(self) -> None:
        assert verdicts(checked("type:whisper"))["trl-sft"].takes == "input_features"
        assert verdicts(checked("type:whisper", "trl-sft"))["trl-sft"].takes == ""
        assert verdicts(checked("toy:Baseless"))["trl-sft"].takes == ""

    def test_a_module_that_is_not_transformers_is_unknown_and_not_clean(self) -> None:
        report = archlint.lint(Net(), select=["ARC7"], trainers=["trl-sft"])
        assert statuses(report) == {"trl-sft": "unknown"}
        assert report.status == "unchecked"
        assert "TRL's trainers" in [item.what for item in report.unchecked]

    @pytest.mark.parametrize("trainer", ["trl-sft", "trl-dpo", "trl-reward", "transformers"])
    def test_a_model_that_cannot_be_run_is_never_said_to_run(self, trainer: str) -> None:
        report = archlint.lint(Broken(), select=["ARC7"], trainers=[trainer])
        assert report.status == "unchecked"
        assert statuses(report) == {trainer: "unknown"}


def test_a_buffer_that_is_mostly_zero_is_an_info_and_no_difference() -> None:
    report = checked("toy:Biased", "trl-sft")
    (finding,) = about_trainers(report)
    assert (finding.code, finding.severity) == ("ARC701", Severity.INFO)
    assert "final_logits_bias" in finding.message
    assert not any(character.isdigit() for character in finding.message)
    assert (report.status, statuses(report)) == ("clean", {"trl-sft": "runs"})


def test_a_smoothed_loss_is_the_models_own_and_still_runs_the_head() -> None:
    assert checked("toy:Capped", "trl-sft", label_smoothing_factor=0.1).status == "clean"
    assert statuses(checked("toy:Baseless", "trl-sft", label_smoothing_factor=0.1)) == {"trl-sft": "raises"}
    assert codes(checked("toy:Capped", "trl-sft", label_smoothing_factor=0.1, loss_type="dft")) == ["ARC701"]


def test_a_config_that_asks_for_router_logits_is_mended_by_the_config() -> None:
    report = checked("toy:AlwaysBalanced", "trl-sft", router_aux_loss_coef=0.0)
    (finding,) = about_trainers(report)
    assert (finding.code, finding.remedies[0].value) == ("ARC705", {"output_router_logits": False})
    assert finding.remedies[0].proven
    assert (statuses(report), report.trainer) == ({"trl-sft": "raises"}, None)


@pytest.mark.parametrize("source", ["toy:Overwriting", "type:blt"])
def test_a_model_that_supports_checkpointing_but_not_with_adapters(source: str) -> None:
    report = checked(source, "trl-sft")
    (finding,) = about_trainers(report)
    assert finding.code == "ARC704"
    assert "with adapters, gradient checkpointing has the embeddings ask for gradients" in finding.message
    assert "does not support" not in finding.message
    assert report.trainer == {"gradient_checkpointing": False}


class TestVersions:
    @pytest.fixture
    def installed(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        def version(name: str) -> str:
            if request.param is None:
                raise PackageNotFoundError(name)
            told: str = request.param
            return told

        monkeypatch.setattr(sys.modules[behaviour.__module__], "version", version)

    @pytest.mark.parametrize("installed", ["1.6.0"], indirect=True)
    @pytest.mark.parametrize("model", [toys.Capped, toys.Baseless, toys.Unbalanced])
    def test_a_version_that_takes_the_models_own_forward(self, installed: None, model: type[nn.Module]) -> None:
        report = archlint.lint(model(), select=["ARC7"])
        assert codes(report) == []
        assert (verdicts(report)["trl-sft"].version, verdicts(report)["trl-sft"].is_installed) == ("1.6.0", True)

    @pytest.mark.parametrize("installed", ["1.10.0"], indirect=True)
    def test_a_version_in_which_sft_alone_takes_the_head(self, installed: None) -> None:
        report = archlint.lint(toys.Capped(), select=["ARC7"], trainers=["trl-sft", "trl-dpo"])
        assert statuses(report) == {"trl-sft": "differs", "trl-dpo": "runs"}

    @pytest.mark.parametrize("installed", ["1.10.0"], indirect=True)
    def test_a_version_that_takes_any_weight_of_a_loss_that_it_does_not_add(self, installed: None) -> None:
        arguments = {"router_aux_loss_coef": 0.01}  # which is refused since 1.14
        report = archlint.lint(toys.Plain(), select=["ARC7"], trainers=["trl-sft"], trainer_args=arguments)
        assert codes(report) == []

    @pytest.mark.parametrize("installed", ["1.10.0"], indirect=True)
    @pytest.mark.parametrize(("model", "code"), [(toys.Capped, "ARC701"), (toys.Baseless, "ARC706")])
    def test_a_version_with_a_loss_of_the_models_own(self, installed: None, model: type[nn.Module], code: str) -> None:
        (finding,) = about_trainers(archlint.lint(model(), select=["ARC7"], trainers=["trl-sft"]))
        assert finding.code == code
        remedy = next(remedy for remedy in finding.remedies if remedy.training is not None)
        assert (remedy.training, remedy.proven) == ({"loss_type": "nll"}, True)
        mended = archlint.lint(model(), select=["ARC7"], trainers=["trl-sft"], trainer_args=remedy.training)
        assert (mended.status, statuses(mended)) == ("clean", {"trl-sft": "runs"})

    @pytest.mark.parametrize("installed", [None], indirect=True)
    def test_without_trl_the_newest_known_is_told(self, installed: None) -> None:
        report = archlint.lint(toys.Capped(), select=["ARC7"])
        assert not verdicts(report)["trl-sft"].is_installed
        assert verdicts(report)["transformers"].is_installed
        (finding,) = about_trainers(report)
        assert "the newest known" in finding.proof[0]

    @pytest.mark.parametrize("installed", ["0.20.0"], indirect=True)
    def test_a_version_that_is_too_old_is_unknown_and_not_clean(self, installed: None) -> None:
        report = archlint.lint(toys.Plain(), select=["ARC7"])
        assert statuses(report) == {"trl-sft": "unknown", "transformers": "runs"}
        assert report.status == "unchecked"
        assert any("0.20.0" in item.why for item in report.unchecked)


class TestTrialTrain:
    """What comes of two real steps, as far as a report tells it."""

    def tried(self, source: str, **more: Any) -> Report:
        pytest.importorskip("trl", reason="TRL is not installed")
        rules = Catalog.load().select(["ARC7"], (), ())
        source_options = SourceOptions(offline=True)
        return engine.check(source, Options(rules=rules, trial_train=True, source=source_options, **more))

    def test_a_model_that_trains(self) -> None:
        report = self.tried("type:gpt2")
        trained = report.training.trained
        assert trained is not None
        assert (len(trained.losses), trained.raised, trained.dead, trained.reason) == (2, None, (), "")
        assert trained.version
        assert report.status == "clean"

    def test_the_recipe_is_tried_with_what_it_needs(self) -> None:
        report = self.tried("type:granitemoe")
        trained = report.training.trained
        assert trained is not None
        assert (trained.raised, trained.reason) == (None, "")
        assert codes(report) == ["ARC705"]

    def test_a_plan_is_tried_as_it_is(self) -> None:
        plan = Plan("user", {"target_modules": ["q_proj"]})
        report = self.tried("type:granitemoe", plan=plan)
        assert report.training.trained is not None
        assert report.training.trained.raised is not None
        assert codes(report) == ["ARC705"]

    def test_a_plan_that_peft_refuses_is_not_tried(self) -> None:
        report = self.tried("type:gpt2", plan=Plan("user", {"target_modules": ["nope"]}))
        assert report.training.trained is not None
        assert report.training.trained.reason == "there is no plan that PEFT takes"
        assert report.status == "unchecked"

    def test_it_is_not_tried_unasked(self) -> None:
        assert checked("type:gpt2").training.trained is None
