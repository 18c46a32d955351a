"""The program: its commands, with ``check`` as the one that needs no name."""

from __future__ import annotations

import click

from archlint import __version__
from archlint.cli.commands import App, Deferred, SectionedOption
from archlint.cli.output import emit

COMMANDS = {
    "check": Deferred("archlint.cli.check", "check", "Check model architectures (the default)."),
    "recipe": Deferred("archlint.cli.recipe", "recipe", "Print a LoraConfig that works, to paste or to pipe."),
    "patch": Deferred("archlint.cli.patch", "patch", "Write the surgery that a model needs before PEFT."),
    "scan": Deferred("archlint.cli.scan", "scan", "Check thousands of models, each in a process of its own."),
    "diff": Deferred("archlint.cli.report", "diff", "What came and went between two stored reports."),
    "report": Deferred("archlint.cli.report", "report", "Render stored reports: a dashboard, a comment, SARIF."),
    "matrix": Deferred("archlint.cli.matrix", "matrix", "Check with several versions of the stack."),
    "rules": Deferred("archlint.cli.rules", "rules", "List the rules."),
    "explain": Deferred("archlint.cli.rules", "explain", "Say what a rule means and what to do."),
    "plans": Deferred("archlint.cli.plan_files", "plans"),
    "cache": Deferred("archlint.cli.cache", "cache", "Show or clear the results that are kept."),
}
"""In the order of the help, each with the line that it has there: its own ``short_help``, where it is not hidden."""


def _print_versions(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    import platform

    from archlint.surroundings import STACK
    from archlint.versions import version

    lines = [f"archlint {__version__}", f"python {platform.python_version()}"]
    lines += [f"{package} {version(package) or 'is not installed'}" for package in STACK]
    emit("\n".join(lines) + "\n")
    ctx.exit()


@click.group(
    cls=App,
    default="check",
    deferred=COMMANDS,
    no_args_is_help=True,
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
