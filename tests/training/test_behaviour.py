"""What TRL does by its version."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest
from packaging.version import Version

from archlint.core.training import Trainer
from archlint.training import UnknownVersionError, behaviour
from archlint.training.behaviour import behaviour_of

FUSED = (Trainer.SFT, Trainer.DPO, Trainer.GRPO, Trainer.KTO)


def installed(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    def answer(name: str) -> str:
        assert name == "trl"
        if version is None:
            raise PackageNotFoundError(name)
        return version

    monkeypatch.setattr(sys.modules[behaviour.__module__], "version", answer)


@pytest.mark.parametrize("version", ["0.24.0", "0.29.1", "1.0.0", "1.4.0", "1.6.0", "1.7.0.dev0"])
def test_before_1_7_every_trainer_takes_the_models_own_forward(version: str) -> None:
    found = behaviour_of(version)
    assert (found.fusing, found.scales) == ((), ())


@pytest.mark.parametrize(
    ("version", "scales", "coefficient"),
    [
        ("1.7.0", ["logit_scale"], 0.001),
        ("1.10.0", ["logit_scale"], 0.001),
        ("1.11.0", ["logit_scale", "output_multiplier"], 0.001),
        ("1.13.0", ["logit_scale", "output_multiplier"], 0.001),
        ("1.14.0", ["logit_scale", "output_multiplier"], None),
        ("1.14.2", ["logit_scale", "output_multiplier"], None),
    ],
)
def test_from_1_7_on_sft_alone_takes_the_heads_weight(
    version: str, scales: list[str], coefficient: float | None
) -> None:
    found = behaviour_of(version)
    assert found.fusing == (Trainer.SFT,)
    assert [scale.name for scale in found.scales] == scales
    assert found.coefficient == coefficient


@pytest.mark.parametrize("version", ["1.15.0", "1.16.0", "1.16.0.post1", "99.1"])
def test_from_1_15_on_all_do_and_a_newer_version_is_taken_to(version: str) -> None:
    found = behaviour_of(version)
    assert (found.version, found.is_installed, found.fusing, found.coefficient) == (version, True, FUSED, None)
    assert [scale.name for scale in found.scales][2:] == ["lm_head_multiplier", "logits_scaling"]
    assert Version(found.fused_since) == Version("1.15")


@pytest.mark.parametrize(
    ("version", "own_loss_types", "smooths_own"),
    [
        ("1.6.0", (), False),
        ("1.7.0", ("nll", "dft"), False),
        ("1.12.0", ("nll", "dft"), False),
        ("1.14.0", ("nll", "dft"), False),
        ("1.15.0", (), True),
        ("1.16.0", (), True),
    ],
)
def test_arguments_with_which_the_loss_is_the_models_own(
    version: str, own_loss_types: tuple[str, ...], smooths_own: bool
) -> None:
    found = behaviour_of(version)
    assert (found.own_loss_types, found.smooths_own) == (own_loss_types, smooths_own)


@pytest.mark.parametrize("version", ["0.23.1", "0.24.0rc1", "0.1"])
def test_a_version_that_is_too_old_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    installed(monkeypatch, version)
    with pytest.raises(UnknownVersionError) as error:
        behaviour()
    assert version in str(error.value)
    assert "0.24.0" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_installed_version_is_the_one_told(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "1.12.0")
    found = behaviour()
    assert (found.version, found.is_installed, found.fusing) == ("1.12.0", True, (Trainer.SFT,))


def test_without_trl_it_is_the_newest_known(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, None)
    found = behaviour()
    assert (found.is_installed, found.fusing) == (False, FUSED)
    assert Version(found.version) >= Version("1.16")


@pytest.mark.parametrize(
    ("setting", "model_type", "factor"),
    [
        ("logit_scale", "cohere", 4.0),
        ("output_multiplier", "inkling", 4.0),
        ("lm_head_multiplier", "falcon_h1", 4.0),
        ("logits_scaling", "granite", 0.25),
        ("logits_scaling", "hyperclovax", 4.0),
    ],
)
def test_what_a_setting_does_to_the_logits(setting: str, model_type: str, factor: float) -> None:
    (scale,) = [scale for scale in behaviour_of("1.16.0").scales if scale.name == setting]
    config = SimpleNamespace(model_type=model_type, **{setting: 4.0})
    assert scale.factor(config) == factor
    assert scale.read(factor, config) == 4.0
    assert scale.factor(SimpleNamespace(model_type=model_type, **{setting: None})) is None
    assert scale.factor(SimpleNamespace(model_type=model_type)) is None
