"""The user's plan: PEFT's arguments from the command line, and from the files of PEFT and of trainers."""

from archlint.plans.arguments import names, targets
from archlint.plans.dialects.trl import trainer_argument
from archlint.plans.document import PlanError
from archlint.plans.locating import located
from archlint.plans.plan_file import PlanFile, dialect, read_plan_file

__all__ = ["PlanError", "PlanFile", "dialect", "located", "names", "read_plan_file", "targets", "trainer_argument"]
