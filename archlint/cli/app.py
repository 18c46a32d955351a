"""The program: its commands, with ``check`` as the one that needs no name."""

from __future__ import annotations

import click

from archlint import __version__
from archlint.cli.cache import cache
from archlint.cli.check import check
from archlint.cli.commands import App, SectionedOption
from archlint.cli.matrix import matrix
from archlint.cli.output import emit
from archlint.cli.patch import patch
from archlint.cli.plan_files import plans
from archlint.cli.recipe import recipe
from archlint.cli.report import diff, report
from archlint.cli.rules import explain, rules


def _print_versions(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    lines = [f"archlint {__version__}", f"python {platform.python_version()}"]
    for package in ("torch", "transformers", "accelerate", "peft", "trl"):
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} is not installed")
    emit("\n".join(lines) + "\n")
    ctx.exit()


@click.group(
    cls=App,
    default="check",
    no_args_is_help=True,
    epilog=check.epilog,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    cls=SectionedOption,
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Show the versions of archlint and its libraries.",
)
def app() -> None:
    """Tells what breaks when a model is fine-tuned, before anybody rents a GPU.

    SOURCE is a hub id, a folder with config.json, a JSON file, type:NAME for a model type's default
    configuration, or the name of a bundled snapshot. No weights are loaded.
    """


for command in (check, recipe, patch, diff, report, matrix, rules, explain, plans, cache):
    app.add_command(command)
