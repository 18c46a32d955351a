"""How each tool says where adapters go: one module a tool."""

from archlint.plans.dialect import Dialect
from archlint.plans.dialects.axolotl import Axolotl
from archlint.plans.dialects.llama_factory import LlamaFactory
from archlint.plans.dialects.ms_swift import MsSwift
from archlint.plans.dialects.peft import Peft
from archlint.plans.dialects.trl import Trl
from archlint.plans.dialects.unsloth import Unsloth, UnslothCommand
from archlint.plans.dialects.unsloth_config import UnslothConfig

DIALECTS: tuple[Dialect, ...] = (
    Peft(),
    Trl(),
    Axolotl(),
    LlamaFactory(),
    Unsloth(),
    UnslothCommand(),
    UnslothConfig(),
    MsSwift(),
)
"""All of them, PEFT first."""
