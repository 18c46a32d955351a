"""Trials: a plan is run through the installed PEFT on the meta model, and what happened is written down."""

from archlint.proving.prover import Prover

__all__ = ["Prover"]
