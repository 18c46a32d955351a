"""ARC705: a trainer adds the load-balancing loss of experts, and the model gives nothing to compute it from."""

from __future__ import annotations

from collections.abc import Iterable

from archlint.core.blueprint import Blueprint
from archlint.core.finding import Evidence, Finding, Remedy, Severity
from archlint.core.rule import Example, Rule
from archlint.core.trainers import argument, doing, own_forward, version
from archlint.core.training import Trainer, Training


class AuxLossConfig(Rule):
    """TRL adds the auxiliary loss of experts to a model that lacks what it is computed from.

    ## What it does
    Runs the trainer's forward pass with the auxiliary loss, where the trainer would add it: the text config has
    `output_router_logits`, and `router_aux_loss_coef` is not 0, as the trainer's argument or, without one, the
    config's. Where the text config asks for router logits and has no `router_aux_loss_coef`, the trainer computes the
    loss whatever the argument.

    ## Why it matters
    The loss is computed from the backbone's router logits, `num_experts` and `num_experts_per_tok` of the
    text config. Other families call these numbers by other names, give no router logits, or have no experts at all
    in a class that may have them: the first step raises. That is the default, as the coefficient stands in the config
    of most of them. A coefficient that is given for a model without router logits is refused.

    ## What to do
    Train with `router_aux_loss_coef=0.0`: the loss is then the one of the tokens alone. With LoRA on frozen routers
    there is little to balance. Where the config asks for router logits and has no coefficient, set
    `output_router_logits = False` in the text config before the trainer is made.
    """

    code = "ARC705"
    name = "aux-loss-config"
    severity = Severity.ERROR
    why = "The first step raises, with any plan."
    fires = (
        Example(
            "toy:trainers.Unbalanced",
            severity=Severity.ERROR,
            trainers=[Trainer.SFT],
            says="SFTTrainer adds an auxiliary loss that it cannot compute for Unbalanced",
            fix=Remedy(
                "setting", "router_aux_loss_coef=0.0: leave the auxiliary loss out", {"router_aux_loss_coef": 0.0}
            ),
        ),
        Example(
            "toy:trainers.AlwaysBalanced",
            severity=Severity.ERROR,
            trainers=[Trainer.SFT],
            arguments={"router_aux_loss_coef": 0.0},
        ),
        Example(
            "toy:trainers.Plain",
            severity=Severity.ERROR,
            trainers=[Trainer.SFT],
            arguments={"router_aux_loss_coef": 0.01},
        ),
    )
    silent = (
        Example("toy:trainers.Plain", trainers=[Trainer.SFT]),
        Example("toy:trainers.Unbalanced", trainers=[Trainer.TRANSFORMERS]),
        Example("toy:trainers.Unbalanced", trainers=[Trainer.SFT], arguments={"router_aux_loss_coef": 0.0}),
    )

    def check(self, blueprint: Blueprint) -> Iterable[Finding]:
        training = blueprint.training
        if not training.fusing or training.fused is not None or not training.refuses_balance:
            return
        name = blueprint.model.class_name
        if not training.has_router_logits:
            yield self.finding(
                f"{doing(training.fusing, 'refuse')} router_aux_loss_coef={training.balancing:g}: "
                f"{name} has no output_router_logits in its text config",
                remedies=[argument("the model gives no router logits to balance", router_aux_loss_coef=0.0)],
                proof=[f"{version(training)} raises ValueError for it when the trainer is made"],
                settings=["router_aux_loss_coef"],
                trainers=training.fusing,
            )
        elif training.always_balances:
            yield self.finding(
                f"{doing(training.fusing, 'compute')} an auxiliary loss for {name} that cannot be computed, whatever "
                "router_aux_loss_coef: its text config has output_router_logits=True",
                evidence=Evidence.FORWARDED,
                remedies=[_UNASKED, *own_forward(training)],
                proof=[
                    f"{version(training)}, output_router_logits=True without a router_aux_loss_coef in the text config "
                    f"→ {training.auxiliary}",
                    "output_router_logits=False → the forward pass of the trainer runs",
                ],
                trainers=training.fusing,
            )
        else:
            source = "given" if _is_given(training) else "its default here"
            yield self.finding(
                f"{doing(training.fusing, 'add')} an auxiliary loss that it cannot compute for {name}",
                evidence=Evidence.FORWARDED,
                remedies=_remedies(training),
                proof=[
                    f"{version(training)}, router_aux_loss_coef={training.balancing:g} ({source}) → "
                    f"{training.auxiliary}",
                    "router_aux_loss_coef=0.0 → the forward pass of the trainer runs",
                ],
                settings=["router_aux_loss_coef"],
                trainers=training.fusing,
            )


_UNASKED = Remedy(
    "setting",
    "set output_router_logits = False on model.config.get_text_config() before the trainer is made",
    value={"output_router_logits": False},
    proven=True,
)


def _is_given(training: Training) -> bool:
    return training.arguments.get("router_aux_loss_coef") is not None


def _remedies(training: Training) -> list[Remedy]:
    return [argument("leave the auxiliary loss out", router_aux_loss_coef=0.0), *own_forward(training)]
