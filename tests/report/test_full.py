"""The full report: golden files for what it looks like, and what must hold of any."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Callable

import pytest

from archlint.core.blueprint import Facts
from archlint.core.finding import Finding, FoldedSites, Location, Remedy, Severity
from archlint.core.report import Dying, Report, Run
from archlint.core.suppression import Suppressed
from archlint.core.training import Trained, Trainer, Training
from archlint.core.trial import Crash, Plan, Refusal, Trial
from archlint.report import full
from archlint.report.layout import draw

from .conftest import trained

Golden = Callable[[str], None]


def shown(run: Run, width: int, *, terminal: bool = False) -> str:
    return draw(full.render(run, exit_code=run.exit_code(Severity.ERROR)), width=width, terminal=terminal)


def only(run: Run) -> Report:
    (report,) = run.reports
    return report


def changed(run: Run, **fields: object) -> Run:
    report = only(run)
    training = fields.pop("training", report.training)
    return Run(run.environment, (trained(report, training, **fields),))  # type: ignore[arg-type]


def test_gemma_at_80_columns(gemma: Run, golden: Golden) -> None:
    golden(shown(gemma, 80))


def test_gemma_at_140_columns(gemma: Run, golden: Golden) -> None:
    golden(shown(gemma, 140))


def test_gemma_on_a_terminal_of_80_columns(gemma: Run, golden: Golden) -> None:
    golden(shown(gemma, 80, terminal=True))


def test_clean_with_a_plan_at_80_columns(clean: Run, golden: Golden) -> None:
    golden(shown(clean, 80))


def test_clean_with_a_plan_at_140_columns(clean: Run, golden: Golden) -> None:
    golden(shown(clean, 140))


def test_a_plan_in_a_file_at_80_columns(planned: Run, golden: Golden) -> None:
    golden(shown(planned, 80))


def test_a_plan_in_a_file_at_140_columns(planned: Run, golden: Golden) -> None:
    golden(shown(planned, 140))


def test_unchecked_at_80_columns(unchecked: Run, golden: Golden) -> None:
    golden(shown(unchecked, 80))


def test_several_sources_end_in_a_table(several: Run, golden: Golden) -> None:
    golden(shown(several, 100))


def test_hostile_names_at_100_columns(hostile: Run, golden: Golden) -> None:
    golden(shown(hostile, 100))


@pytest.mark.parametrize("width", [60, 80, 140])
def test_prose_keeps_to_the_width_and_leaves_no_trailing_blanks(gemma: Run, width: int) -> None:
    for line in shown(gemma, width, terminal=True).splitlines():
        assert line == line.rstrip()
        if len(line) > width:  # machine text, or a word that fits on no line
            assert max(map(len, line.split())) > width // 2


def test_the_same_words_at_any_width(gemma: Run) -> None:
    assert shown(gemma, 80).split() != []
    without_colons = re.compile(r": |  +")
    narrow, wide = (" ".join(without_colons.sub(" ", shown(gemma, width)).split()) for width in (80, 140))
    assert narrow.replace(" ·", "") == wide.replace(" ·", "")


def test_only_a_coloured_page_has_escape_codes(gemma: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    page = full.render(gemma, exit_code=1)
    plain, coloured = draw(page, width=80, terminal=True), draw(page, width=80, terminal=True, color=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain != coloured


def test_the_recipe_can_be_pasted(gemma: Run) -> None:
    text = shown(gemma, 80)
    source = text[text.index("LoraConfig(") :]
    source = source[: source.index("\n)") + 2]
    call = ast.parse(source, mode="eval").body
    assert isinstance(call, ast.Call)
    recipe = only(gemma).recipe
    assert recipe is not None
    assert {k.arg: ast.literal_eval(k.value) for k in call.keywords} == recipe.plan.lora


def test_paths_are_whole_in_a_pipe_and_broken_before_dots_on_a_terminal(gemma: Run) -> None:
    pattern = only(gemma).findings[0].sites[2].pattern
    assert pattern in shown(gemma, 60)
    on_terminal = shown(gemma, 60, terminal=True)
    assert pattern not in on_terminal
    assert pattern in re.sub(r"\n +(?=\.)", "", on_terminal)


def test_what_a_file_is_to_say_is_whole_at_any_width(planned: Run) -> None:
    edits = [edit for finding in planned.findings for remedy in finding.remedies for edit in remedy.edits]
    assert {bool(edit.text) for edit in edits} == {True, False}
    for terminal in (True, False):
        lines = shown(planned, 40, terminal=terminal).splitlines()
        for edit in edits:
            end = f"{edit.file}:{edit.line}  {edit.text or f'take out {edit.key}'}"
            assert any(line.endswith(end) for line in lines)


def test_an_edit_stands_for_the_argument(planned: Run) -> None:
    assert "target_modules=[" not in shown(planned, 140).partition("plan     ")[0]
    first, second, *_ = only(planned).findings
    elsewhere = dataclasses.replace(second, remedies=(dataclasses.replace(second.remedies[0], edits=()),))
    assert 'target_modules=["q_proj", "v_proj"]\n' in shown(changed(planned, findings=(first, elsewhere)), 140)


LONG = r".*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|ffw_layer_1|ffw_layer_2|post)\.linear"


@pytest.mark.parametrize("width", [60, 80])
def test_what_is_to_be_pasted_keeps_to_a_terminal_and_is_whole_in_a_pipe(gemma: Run, width: int) -> None:
    first, *others = only(gemma).findings
    fixed = dataclasses.replace(first, remedies=(Remedy("target_modules", "so", LONG),))
    run = changed(gemma, findings=(fixed, *others), recipe=Trial(Plan("recipe", {"target_modules": LONG})))
    on_terminal = shown(run, width, terminal=True)
    assert max(map(len, on_terminal.splitlines())) <= width
    fix = re.search(r"target_modules=\(\n(?: +r?\".*\"\n)+ +\)", on_terminal)
    assert fix is not None
    call = ast.parse(f"f({fix.group()})", mode="eval").body
    assert isinstance(call, ast.Call)
    assert ast.literal_eval(call.keywords[0].value) == LONG
    assert f'           target_modules=r"{LONG}"\n' in shown(run, width)


def test_a_refusal_keeps_to_a_terminal(gemma: Run) -> None:
    refused = Trial(Plan("all-linear"), raised=Refusal("ValueError", f"Target modules {LONG} not found"))
    for run in (changed(gemma, stock=(refused,)), changed(gemma, plan=refused, stock=())):
        outcome = shown(run, 80, terminal=True).partition("raises ValueError")[2].partition("\n\n")[0]
        assert max(map(len, outcome.splitlines())) <= 80
        assert LONG in "".join(outcome.split())


def test_names_cannot_reach_the_terminal(hostile: Run) -> None:
    text = shown(hostile, 100, terminal=True)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "[bold red]x[/]" in text


def test_a_finding_with_many_folds_does_not_fill_the_screen(gemma: Run) -> None:
    first, *others = only(gemma).findings
    sites = tuple(FoldedSites(f"model.part{n}.proj", 10, "Odd", "wrapper", "text") for n in range(30))
    text = shown(changed(gemma, findings=(dataclasses.replace(first, sites=sites), *others)), 100)
    assert "300 sites" in text
    assert "model.part7.proj" in text
    assert "model.part8.proj" not in text
    assert "22 patterns more, 220 sites" in text


def test_what_was_not_run_is_said(gemma: Run, clean: Run) -> None:
    recipe = Trial(Plan("recipe", {"target_modules": ["q"]}), adapted=("a.q",), coverage=0.5)
    text = shown(changed(gemma, recipe=recipe), 140)
    assert "untried  1 adapter on 50.0 % of the text weights" in text
    assert "forward and backward not run" in text
    assert "forward and backward not run" not in shown(clean, 140)
    assert "every adapter gets a gradient" in shown(clean, 140)


def test_a_plan_that_does_all_that_the_recipe_does_stands_alone(clean: Run) -> None:
    (report,) = clean.reports
    assert report.plan is not None
    assert report.recipe is not None
    assert "recipe" in shown(clean, 100)
    alone = changed(clean, plan=dataclasses.replace(report.plan, coverage=report.recipe.coverage))
    assert "recipe" not in shown(alone, 100)
    assert "LoraConfig(" not in shown(alone, 100)


def test_the_tuner_of_a_plan_is_named(clean: Run) -> None:
    (report,) = clean.reports
    assert report.plan is not None
    plan = dataclasses.replace(report.plan, plan=Plan("user", {"oft_block_size": 32}, tuner="OFT"))
    text = shown(changed(clean, plan=plan), 100)
    assert "plan     OFT: oft_block_size=32" in text
    assert "recipe   with LoRA: " in text


def test_a_crashing_recipe_is_not_praised(gemma: Run) -> None:
    recipe = Trial(
        Plan("recipe", {"target_modules": ["q"]}),
        adapted=("a.q", "b.q"),
        coverage=0.5,
        outside=1,
        forward="crashed",
        crash=Crash("TypeError", "no", "own.py", 7),
    )
    text = shown(changed(gemma, recipe=recipe), 140)
    assert "2 adapters on 50.0 % of the text weights, 1 elsewhere" in text
    assert "the training step crashes: TypeError: no (own.py:7)" in text


def test_no_recipe_is_said(gemma: Run) -> None:
    text = shown(changed(gemma, recipe=None), 80)
    assert "recipe   none found for scope text" in text
    assert "LoraConfig" not in text


def test_a_plan_that_raises_is_shown_with_what_it_raised(clean: Run) -> None:
    plan = Trial(Plan("user", {"target_modules": ["nope"]}), raised=Refusal("ValueError", "not found\nin the model"))
    text = shown(changed(clean, plan=plan), 140)
    assert 'plan     target_modules=["nope"]\n         raises ValueError: not found in the model\n' in text


def test_a_plan_without_arguments_leaves_the_choice_to_peft(clean: Run) -> None:
    text = shown(changed(clean, plan=Trial(Plan("user"), adapted=("a",), coverage=1.0)), 140)
    assert "PEFT's own choice of targets" in text


def test_the_exit_code_is_on_the_last_line(several: Run) -> None:
    assert shown(several, 80).splitlines()[-1] == "1 error, 1 warning, 4 infos, 1 not checked · exit code 1"


def test_what_was_not_checked_is_told_once(unchecked: Run) -> None:
    (item,) = only(unchecked).unchecked
    finding = Finding("ARC902", "cannot-load", Severity.WARNING, item.why, "Nothing was checked.", unchecked=True)
    assert shown(changed(unchecked, findings=(finding,)), 140).count(item.why) == 1
    another = dataclasses.replace(finding, message="something else")
    assert shown(changed(unchecked, findings=(another,)), 140).count(item.why) == 1


def test_what_a_comment_suppresses_has_a_line_and_does_not_count(gemma: Run) -> None:
    error, *others = only(gemma).findings
    suppressed = (Suppressed(error, Location("/own/modeling_own.py", 12), "as meant"),)
    text = shown(changed(gemma, findings=tuple(others), suppressed=suppressed), 140)
    assert "suppressed ARC101 wrapped-linear at /own/modeling_own.py:12: as meant\n" in text
    assert "\nerror " not in text
    assert text.endswith("1 warning, 3 infos, 1 suppressed · exit code 0\n")


def test_all_classes_are_named_and_the_first_is_located(gemma: Run) -> None:
    first, *others = only(gemma).findings
    sites = tuple(FoldedSites(f"{name}.proj", 1, name, "wrapper", "text") for name in ("One", "Two", "One", "Three"))
    text = shown(changed(gemma, findings=(dataclasses.replace(first, sites=sites), *others)), 140)
    assert "One in transformers/models/gemma4/modeling_gemma4.py:175, and Two, Three" in text
    nowhere = dataclasses.replace(first, sites=sites[:1], location=None)
    assert "  class  One\n" in shown(changed(gemma, findings=(nowhere,)), 140)


class TestTrainers:
    """What trainers make of the model, below what was tried, and beside the recipe."""

    TRAINING = Training(
        trainers=(Trainer.SFT, Trainer.DPO, Trainer.TRANSFORMERS),
        fused_by=(Trainer.SFT, Trainer.DPO),
        trl="1.16.0",
        is_installed=True,
    )
    NEEDY = dataclasses.replace(TRAINING, checkpointing=Crash("ValueError", "no"))
    DYING = Dying("all-linear", (FoldedSites("layers.{0..3}.q_proj", 4, "Linear", "linear", "text"),))

    def test_each_has_a_line(self, clean: Run) -> None:
        warning = Finding("ARC701", "x", Severity.WARNING, "m", "w", trainers=(Trainer.DPO,))
        text = shown(changed(clean, training=self.TRAINING, findings=(warning,)), 140)
        assert [line.split(maxsplit=1) for line in text.splitlines() if line.startswith("trainers")] == [
            ["trainers", "trl-sft       TRL 1.16.0: runs"]
        ]
        assert "         trl-dpo       TRL 1.16.0: runs, and its loss is not the model's own (ARC701)\n" in text
        assert "         transformers  5.23.0: runs\n" in text

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("ARC708", "runs, and its loss is too large where batches are accumulated (ARC708)"),
            ("ARC709", "runs, and some adapters get no gradient (ARC709)"),
            ("OWN100", "runs, and there is a warning (OWN100)"),
        ],
    )
    def test_what_is_not_as_it_should_be_is_said_by_what_it_is(self, clean: Run, code: str, says: str) -> None:
        warning = Finding(code, "x", Severity.WARNING, "m", "w", trainers=(Trainer.TRANSFORMERS,))
        text = shown(changed(clean, training=self.TRAINING, findings=(warning,)), 140)
        assert f"         transformers  5.23.0: {says}\n" in text

    def test_what_raises_and_is_no_error_says_why(self, clean: Run) -> None:
        training = dataclasses.replace(self.TRAINING, trainers=(Trainer.SFT,), fused=Crash("ValueError", "no"))
        info = Finding("ARC706", "x", Severity.INFO, "m", "w", trainers=(Trainer.SFT,))
        facts = Facts(main_input="input_features")
        text = shown(changed(clean, training=training, findings=(info,), facts=facts), 200)
        assert (
            "raises (ARC706): an info, as it is trained on input_features and not on text; "
            "--trainer trl-sft makes it an error"
        ) in " ".join(text.split())
        named = dataclasses.replace(training, are_named=True)
        assert "an info" not in shown(changed(clean, training=named, findings=(info,), facts=facts), 200)

    def test_without_trl_the_newest_is_told(self, clean: Run) -> None:
        training = dataclasses.replace(self.TRAINING, is_installed=False)
        text = shown(changed(clean, training=training), 140)
        assert text.count("TRL 1.16.0 (not installed, the newest known): runs") == 2

    def test_what_is_not_known_is_not_said_to_run(self, clean: Run) -> None:
        training = Training(trainers=(Trainer.SFT,), unknown="TRL 0.9.0 is installed, and nobody knows it")
        (line,) = [line for line in shown(changed(clean, training=training), 140).splitlines() if "trl-sft" in line]
        assert "runs" not in line
        assert "not installed" not in line

    def test_nobody_has_none(self, clean: Run) -> None:
        assert "trainers" not in shown(clean, 140)

    def test_arguments_stand_beside_the_recipe(self, gemma: Run) -> None:
        text = shown(changed(gemma, training=self.NEEDY), 100)
        for config in ("SFTConfig", "DPOConfig"):
            assert f"\n{config}(\n    gradient_checkpointing=False,\n)\n" in text
        assert "TrainingArguments(" not in text
        assert text.index("LoraConfig(") < text.index("SFTConfig(")

    def test_what_needs_nothing_has_no_arguments(self, gemma: Run) -> None:
        assert "Config(" not in shown(changed(gemma, training=self.TRAINING), 100).replace("LoraConfig(", "")
        hopeless = dataclasses.replace(self.NEEDY, fused=Crash("ValueError", "no"))
        assert "SFTConfig(" not in shown(changed(gemma, training=hopeless), 100)

    @pytest.mark.parametrize(
        ("trained", "says"),
        [
            (Trained(losses=(1.5, 1.25)), "2 steps on a small copy, loss 1.5, 1.25, every adapter trained"),
            (Trained(losses=(1.0,), dead=("a", "b")), "1 step on a small copy, loss 1, 2 adapters without a gradient"),
            (Trained(raised=Crash("ValueError", "no", "own.py", 7)), "raises ValueError: no (own.py:7)"),
            (Trained(reason="TRL is not installed"), "not tried: TRL is not installed"),
        ],
    )
    def test_what_a_real_trial_came_to(self, clean: Run, trained: Trained, says: str) -> None:
        text = shown(changed(clean, training=dataclasses.replace(self.TRAINING, trained=trained)), 140)
        assert f"\ntrained  trl-sft       {says}\n" in text

    @pytest.mark.parametrize("training", [TRAINING, Training()], ids=["somebody", "nobody"])
    def test_adapters_without_a_gradient_are_told(self, clean: Run, training: Training) -> None:
        text = shown(changed(clean, training=training, dying=(self.DYING,)), 140)
        assert "\ndead     all-linear: 4 adapters get no gradient" in text
        assert "layers.{0..3}.q_proj" in text

    def test_a_real_trial_is_told_where_nobody_is_checked_for(self, clean: Run) -> None:
        text = shown(changed(clean, training=Training(trained=Trained(losses=(1.0,)))), 140)
        assert "\ntrained  trl-sft  1 step on a small copy" in text

    def test_what_they_say_keeps_to_a_terminal(self, gemma: Run) -> None:
        crash = Crash("ValueError", "no " * 200, "own.py", 7)
        training = dataclasses.replace(self.NEEDY, trained=Trained(raised=crash))
        text = shown(changed(gemma, training=training, dying=(self.DYING,)), 80, terminal=True)
        plain = re.sub("\x1b\\[[0-9;]*m", "", text)
        assert max(map(len, plain.splitlines())) <= 80


def test_a_stored_model_without_parameters_is_shown(gemma: Run) -> None:
    report = only(gemma)
    assert report.model is not None
    assert report.recipe is not None
    model, plan = dataclasses.replace(report.model, parameters=0), dataclasses.replace(report.recipe, trainable=5)
    assert "of the model" not in shown(changed(gemma, model=model, plan=plan), 80)
