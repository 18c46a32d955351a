"""A model that a repository's own code made in a contained process."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import os
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from archlint import deadline
from archlint.containment import household, seccomp, watching
from archlint.containment.grounds import Grounds, NoGroundsError, borrowed, grounds
from archlint.containment.layers import EVERY, Layer, Means, containment, promised, ways
from archlint.containment.limits import Limits
from archlint.containment.locking import Locks, Setup
from archlint.containment.process import Command, LostError, Process
from archlint.containment.questions import Cutting, Made, Question, Said, wanted
from archlint.containment.strictness import NonsenseError, strictly
from archlint.core.blueprint import Operation, Scope
from archlint.core.checkpoint import AdapterWeights
from archlint.core.custom_code import Conduct, Containment
from archlint.core.surgery import Step
from archlint.core.too_slow import MAX_SECONDS, PlanTooSlowError
from archlint.core.training import Trained, Training
from archlint.core.trial import USER, Baseline, Plan, Trial
from archlint.subject import Bench, NotBuiltError, NotVerifiableError
from archlint.versions import environment

if TYPE_CHECKING:
    from archlint.core.surgery import Way
    from archlint.identity import Located
    from archlint.options import Options
    from archlint.published import PublishedAdapter
    from archlint.surgery.option import Option
    from archlint.surgery.patch import Patch

T = TypeVar("T")

_ANSWERING = "archlint.containment.answering"
"""What the process answers by; nothing here imports it."""
_TEMPLATES = "archlint.surgery.templates."
_ADAPTER = "<adapter>"
"""What the process is told of where an adapter's file is."""
_COPIES = "transformers_modules"
"""The folder of transformers' copies of code, below that for modules."""
_OF_NONSENSE = (
    *(TypeError, ValueError, LookupError, AttributeError, ImportError, SyntaxError),
    *(RecursionError, MemoryError),  # of a literal that is too deep
)
_CONSTANTS = 10_000_000
"""Letters of a patch's constants."""


class NotContainedError(NotBuiltError):
    """The repository's code was not run: there is nothing, or not enough, to contain it with."""

    is_lasting = False


class CodeFailedError(NotBuiltError):
    """The repository's code was run, and gave no model, or no answer."""

    is_lasting = False


class Contained(Bench):
    """What asks the contained process; it ends when the subject is closed."""

    def __init__(self, process: Process, folder: Path | None, held: Grounds, bounds: Containment) -> None:
        self._process = process
        self._names = _names(folder, held.home)
        self._grounds = held
        self._bounds = bounds
        self._told = 0
        """How many remarks there were at the last look."""

    def build(self, located: Located, options: Options) -> None:
        """Have the model built, which all other questions are about.

        Raises:
            NotBuiltError: it cannot be.
        """
        made = self._ask(Made, Question("build", (wanted(located, options),)))
        if not all(map(self._is_file, made.files or ())):
            raise self._failed("its code answered nonsense")
        self.blueprint, self.files = made.blueprint, made.files

    def conduct(self) -> Conduct:
        return Conduct(self._bounds, self._process.remarks)

    def close(self) -> None:
        self._process.close()
        household.remove(self._grounds.home)

    def baseline(self, scope: Scope) -> Baseline:
        return self._ask(Baseline, Question("baseline", (scope,)))

    def try_plan(self, plan: Plan, scope: Scope) -> Trial:
        longer = MAX_SECONDS if plan.name == USER else 0.0
        trial = self._ask(Trial, Question("try_plan", (plan, scope)), longer)
        return dataclasses.replace(trial, plan=plan)

    def training(self) -> Training:
        return self._ask(Training, Question("training"))

    def operations(self) -> tuple[Operation, ...]:
        return self._ask(tuple[Operation, ...], Question("operations"))

    def trained(self, trial: Trial, arguments: Mapping[str, Any]) -> Trained:
        return self._ask(Trained, Question("trained", (trial, dict(arguments))), MAX_SECONDS)

    def weights(self, adapter: PublishedAdapter) -> AdapterWeights:
        asked = (adapter.settings, adapter.shapes, _ADAPTER)
        return dataclasses.replace(self._ask(AdapterWeights, Question("weights", asked)), file=adapter.file)

    def surgeries(self) -> tuple[Operation, ...]:
        return self._ask(tuple[Operation, ...], Question("surgeries"))

    def patch(self, way: Way | None = None) -> Patch | None:
        from archlint.surgery.writing import written

        cuttings = self._ask(tuple[Cutting, ...], Question("cuttings", (way,)))
        if not cuttings:
            return None
        try:
            options = [_option(one) for one in cuttings]
            versions = environment()
            used = {"torch": versions.torch, "transformers": versions.transformers, "peft": versions.peft}
            return written(options, self.blueprint.model, used)
        except _OF_NONSENSE as error:
            raise self._failed("its code answered nonsense") from error

    def verify(self, patch: Patch) -> list[Step]:
        return list(self._ask(tuple[Step, ...], Question("verify", (patch.text, patch.name, patch.way)), MAX_SECONDS))

    def _ask(self, kind: type[T], question: Question, longer: float = 0.0) -> T:
        """The answer to ``question``.

        Raises:
            CodeFailedError: there is none.
        """
        try:
            said = self._process.ask(question, longer)
        except LostError as error:
            raise self._failed(f"its code {error}") from error
        if said.expired:
            deadline.expire()
        if said.kind:
            raise self._error(said)
        try:
            answer = strictly(kind, _renamed(said.answer, self._names), self._is_file)
        except NonsenseError as error:
            raise self._failed("its code answered nonsense") from error
        if len(self._process.remarks) > self._told:  # what is found now may not be found again
            self._told = len(self._process.remarks)
            deadline.expire()
        return answer

    def _error(self, said: Said) -> BaseException:
        """What a failure in the process is here."""
        why = str(_renamed(said.why, self._names))
        if said.kind == "not-built":
            failed = NotBuiltError(why)
            failed.is_lasting = False  # of which files it depends is not known here
            failed.conduct = self.conduct()
            return failed
        if said.kind == "too-slow":
            return PlanTooSlowError()
        if said.kind == "not-verifiable":
            return NotVerifiableError(why)
        if said.kind in ("unknown-tuner", "not-loadable", "no-patch"):
            return _of_libraries(said.kind, why)
        return self._failed(f"its code raised {why}")

    def _failed(self, why: str) -> CodeFailedError:
        deadline.expire()
        failed = CodeFailedError(f"{why} (the repository's own code ran in a process of its own)")
        failed.conduct = self.conduct()
        return failed

    def _is_file(self, file: str) -> bool:
        """Whether an answer may name a file: one of the repository, or of what is installed."""
        if file.startswith("<"):  # code that is in no file
            return file.endswith(">") and "/" not in file
        if file.startswith(f"{_COPIES}/"):  # which are gone afterwards
            return ".." not in Path(file).parts
        if not os.path.isabs(file):  # noqa: PTH117 (there may be very many)
            return ".." not in Path(file).parts and any(Path(root, file).is_file() for root in self._grounds.search)
        real = Path(os.path.realpath(file))
        return any(real.is_relative_to(root) for root in (*self._grounds.repository, *self._grounds.installed))


def contained(
    located: Located,
    options: Options,
    limits: Limits | None = None,
    layers: Collection[Layer] = EVERY,
) -> Contained:
    """The model of a source that only its repository's code has, which is run in a contained process.

    Args:
        limits: what it may take.
        layers: what may contain it, as far as the system has it.

    Raises:
        NotContainedError: the code was not run.
        NotBuiltError: it was, and there is no model; ``conduct`` says what it did.
    """
    if os.name != "posix":
        raise NotContainedError("the repository's own code can be contained on Linux and macOS only")
    if options.source.require_sandbox:
        _require(promised(layers))
    limits = limits or Limits()
    cache = _cache(options)
    home = household.fresh_home()
    with contextlib.ExitStack() as undo:
        undo.callback(household.remove, home)
        try:
            held = grounds(located.source.folder, cache, borrowed(dict(located.config)), home)
        except NoGroundsError as error:
            raise NotContainedError(str(error)) from error
        options.progress("starting a contained process")
        process, bounds = _started(held, cache, limits, layers)
        undo.callback(process.close)
        if options.source.require_sandbox:
            _require(bounds)
        subject = Contained(process, located.source.folder, held, bounds)
        options.progress("building the model on the meta device")
        subject.build(located, options)
        undo.pop_all()
        return subject


def _require(bounds: Containment) -> None:
    if bounds.lack:
        raise NotContainedError(f"the repository's own code was not run: nothing here closes {bounds.lack} to it")


def _started(held: Grounds, cache: Path, limits: Limits, layers: Collection[Layer]) -> tuple[Process, Containment]:
    """A process that is locked up as well as it can be, and has run nothing of the repository."""
    why = ""
    for means in ways(layers):
        try:
            process = Process(_command(means, held, cache), limits)
        except OSError as error:
            why = f"could not be started: {error}"
            continue
        try:
            said = process.begin(_setup(means, held, limits))
            return process, containment(means.spaces, strictly(Locks, said.answer))
        except (LostError, NonsenseError) as error:
            process.close()
            why = str(error)
        except BaseException:
            process.close()
            raise
    raise NotContainedError(f"the process for the repository's own code {why}")


def _command(means: Means, held: Grounds, cache: Path) -> Command:
    prefix = () if means.spaces is None else means.spaces.around((), held)
    return Command(prefix, held.search, household.environment(held.home, cache), held.home)


def _setup(means: Means, held: Grounds, limits: Limits) -> Setup:
    return Setup(
        answering=_ANSWERING,
        grounds=held,
        limits=limits,
        parent=os.getpid() if means.spaces is None else 0,
        running=0 if means.use_seccomp and seccomp.is_known() else watching.running_threads(),
        use_landlock=means.use_landlock,
        use_seccomp=means.use_seccomp,
    )


def _cache(options: Options) -> Path:
    from huggingface_hub import constants

    return (options.source.cache_dir or Path(constants.HF_HUB_CACHE)).absolute()


def _option(told: Cutting) -> Option:
    """What a patch is made of; its text is put together here, from archlint's own templates.

    Raises:
        ValueError: it holds something else.
    """
    from archlint.surgery.option import Option

    if not all(name.startswith(_TEMPLATES) for name in told.templates) or len(told.constants) > _CONSTANTS:
        raise ValueError(told.templates)
    constants: dict[str, tuple[dict[str, Any], str]] = {}
    for name, (values, comment) in ast.literal_eval(told.constants).items():
        if not isinstance(comment, str) or not comment.isprintable() or not isinstance(values, dict):
            raise ValueError(name)
        constants[name] = values, comment
    return Option(
        told.operation, tuple(map(import_module, told.templates)), constants, told.target, told.notes, told.is_shared
    )


def _of_libraries(kind: str, why: str) -> Exception:
    """Errors that are defined where torch is imported."""
    from archlint.proving.loading import NotLoadableError
    from archlint.proving.tuners import UnknownTunerError
    from archlint.surgery.patch import PatchError

    return {"unknown-tuner": UnknownTunerError, "not-loadable": NotLoadableError, "no-patch": PatchError}[kind](why)


def _names(folder: Path | None, home: str) -> Mapping[str, str]:
    """What paths in answers begin with, and what the user knows that as; the process's own folder is gone then."""
    names = {f"{home}/modules/": "", home: "~"}
    if folder is not None and (real := os.path.realpath(folder)) != (known := os.path.normpath(folder.absolute())):
        names[real] = known
    return names


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    if isinstance(data, str):
        for name, known in names.items():
            data = data.replace(name, known)
        return data
    if isinstance(data, list):
        return [_renamed(item, names) for item in data]
    if isinstance(data, dict):
        return {_renamed(key, names): _renamed(value, names) for key, value in data.items()}
    return data
