"""The model of a repository's own code, as its text has it: nothing of the code is run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from archlint.building import Held, wanted
from archlint.core.blueprint import Operation
from archlint.core.custom_code import Reading
from archlint.core.training import Trained, Training
from archlint.core.trial import Trial
from archlint.subject import CodeNotRunError

if TYPE_CHECKING:
    from archlint.identity import Located
    from archlint.options import Options

NOT_RUN = "not run: custom code"
"""What is said of all that only a run would show."""


class AsRead(Held):
    """A model whose classes stand in for those of the code: PEFT can be tried on it, and it cannot be run."""

    def training(self) -> Training:
        return Training()

    def operations(self) -> tuple[Operation, ...]:
        return ()

    def trained(self, trial: Trial, arguments: Mapping[str, Any]) -> Trained:
        return Trained(reason=NOT_RUN)


def as_read(located: Located, options: Options) -> AsRead:
    """What the code of a source says that its model is.

    Raises:
        CodeNotRunError: there is no code at hand, or it cannot be read.
    """
    from archlint.proving import Prover
    from archlint.reading import ReadingError, read
    from archlint.survey import survey

    references = tuple(dict.fromkeys(map(str, (located.config.get("auto_map") or {}).values())))
    reason = (
        f"{NOT_RUN}: model type {located.config.get('model_type')!r} exists only as the repository's own code "
        f"({', '.join(references)}); to run it, pass --trust-remote-code"
    )
    config, class_name = wanted(located, options)
    if located.source.folder is None:
        raise CodeNotRunError(reason)
    options.progress("reading the repository's own code")
    try:
        found = read(config, located.source.folder, class_name)
    except ReadingError as error:
        raise CodeNotRunError(f"{reason}; nor could it be read: {error}") from error
    options.progress("taking the census")
    blueprint = survey(found.skeleton, located.info, options.scope)
    facts = dataclasses.replace(
        blueprint.facts, custom_code=references, ran_custom_code=False, reading=Reading(found.gaps)
    )
    blueprint = dataclasses.replace(blueprint, facts=facts)
    return AsRead(blueprint, Prover(found.skeleton.model, blueprint, not_run=NOT_RUN))
