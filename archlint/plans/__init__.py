"""The user's plan: LoraConfig arguments from the command line, and from the files of PEFT and of trainers."""

from archlint.plans.arguments import AdapterConfig, lora_arguments, names, read_adapter_config, targets
from archlint.plans.document import PlanError

__all__ = ["AdapterConfig", "PlanError", "lora_arguments", "names", "read_adapter_config", "targets"]
