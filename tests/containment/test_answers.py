"""What archlint makes of the answers of a process, whoever wrote them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from archlint import deadline
from archlint.containment import CodeFailedError, Contained
from archlint.containment.grounds import Grounds
from archlint.containment.process import LostError
from archlint.containment.questions import Said
from archlint.core.blueprint import Blueprint, ModelInfo, Scope
from archlint.core.custom_code import Containment, Remark
from archlint.core.surgery import Way
from archlint.core.too_slow import PlanTooSlowError
from archlint.core.trial import USER, Plan
from archlint.proving.loading import NotLoadableError
from archlint.proving.tuners import UnknownTunerError
from archlint.subject import NotVerifiableError
from archlint.surgery.patch import Patch, PatchError

PLAN = Plan(USER, {"r": 8})


class Answers:
    """Stands in for a process that answers all questions the same."""

    def __init__(self, said: Said | None, remarks: Sequence[str] = ()) -> None:
        self._said = said
        self.remarks = tuple(map(Remark, remarks))

    def ask(self, question: object, longer: float = 0.0) -> Said:
        if self._said is None:
            raise LostError("ended")
        return self._said


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / ".git").mkdir(parents=True)
    (folder / "modeling.py").touch()
    (folder / "link.py").symlink_to("/etc/passwd")
    return folder


def subject(repository: Path, answers: Answers) -> Contained:
    import transformers

    packages = Path(transformers.__file__).parents[1]
    shown = Grounds(
        (str(packages),), (), (str(repository / "modeling.py"),), (str(repository),), "/fresh", (str(packages),)
    )
    made: Any = answers
    found = Contained(made, repository, shown, Containment())
    found.blueprint = Blueprint(ModelInfo("x", "hub", "Own", "own", 1, 1), ())
    return found


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unknown-tuner", UnknownTunerError),
        ("not-loadable", NotLoadableError),
        ("not-verifiable", NotVerifiableError),
        ("no-patch", PatchError),
        ("too-slow", PlanTooSlowError),
        ("failed", CodeFailedError),
        ("of another name", CodeFailedError),
    ],
)
def test_errors_are_those_that_the_model_itself_would_raise(
    kind: str, error: type[BaseException], repository: Path
) -> None:
    with pytest.raises(error):
        subject(repository, Answers(Said("", kind=kind, why="why"))).try_plan(PLAN, Scope.TEXT)


def test_what_was_stopped_or_did_something_else_is_not_kept(repository: Path) -> None:
    def expired(answers: Answers) -> int:
        before = deadline.expired()
        with contextlib.suppress(CodeFailedError):
            subject(repository, answers).baseline(Scope.TEXT)
        return deadline.expired() - before

    assert expired(Answers(Said("", {}))) == 0
    assert expired(Answers(Said("", {}, expired=10**9))) == 1
    assert expired(Answers(Said("", {}), ["tried something"])) == 1
    assert expired(Answers(None)) == 1


@pytest.mark.parametrize(
    ("file", "is_taken"),
    [
        ("{repository}/modeling.py", True),
        ("transformers/models/llama/modeling_llama.py", True),
        ("transformers_modules/some/code/modeling.py", True),
        ("<string>", True),
        ("{repository}/.git/config", False),
        ("{repository}/link.py", False),
        ("{repository}/../secret", False),
        ("/etc/passwd", False),
        ("../../../etc/passwd", False),
        ("transformers/../../secret", False),
        ("<../secret", False),
        ("secrets_of_mine.py", False),
    ],
)
def test_files_of_the_repository_and_of_packages_are_named_and_no_others(
    file: str, is_taken: bool, repository: Path
) -> None:
    cache = {"type": "ValueError", "message": "no", "file": file.format(repository=repository), "line": 1}
    asked = subject(repository, Answers(Said("", {"cache": cache})))
    if is_taken:
        assert asked.baseline(Scope.TEXT).cache is not None
    else:
        with pytest.raises(CodeFailedError, match="its code answered nonsense"):
            asked.baseline(Scope.TEXT)


def test_its_own_folder_is_not_named(repository: Path) -> None:
    said = Said("", {"reason": "no such file: /fresh/modules/transformers_modules/own.py, /fresh/tmp/x"})
    assert subject(repository, Answers(said)).baseline(Scope.TEXT).reason == (
        "no such file: transformers_modules/own.py, ~/tmp/x"
    )


def test_the_trial_is_of_the_plan_that_was_asked_about(repository: Path) -> None:
    said = Said("", {"plan": {"name": "another"}, "adapted": ["a"]})
    trial = subject(repository, Answers(said)).try_plan(PLAN, Scope.TEXT)
    assert (trial.plan, trial.adapted) == (PLAN, ("a",))


CUTTING = {
    "operation": {"way": "shield", "sites": []},
    "templates": ["archlint.surgery.templates.shielded", "archlint.surgery.templates.products"],
    "constants": "{'LAYERS': ({'Router': True}, 'The classes.')}",
    "target": "{}.linear",
    "notes": ["A note."],
    "is_shared": False,
}


def hostile(**changes: Any) -> list[dict[str, Any]]:
    return [{**CUTTING, **changes}]


@pytest.mark.parametrize(
    "changes",
    [
        {"templates": ["os"]},
        {"templates": ["archlint.surgery.templates.nothing"]},
        {"templates": ["archlint.surgery.templates.shielded; import os"]},
        {"constants": "__import__('os').system('id')"},
        {"constants": "{'LAYERS': ({'Router': True}, 'x\\nimport os')}"},
        {"constants": "{'LAYERS': (1, 'x')}"},
        {"constants": "{'LAYERS': " + "[" * 10_000},
        {"constants": "1"},
        {"is_shared": "yes"},
        {"notes": "a"},
    ],
)
def test_a_patch_holds_nothing_but_archlints_own_code(changes: dict[str, Any], repository: Path) -> None:
    with pytest.raises(CodeFailedError, match="nonsense"):
        subject(repository, Answers(Said("", hostile(**changes)))).patch(Way.SHIELD)


@pytest.mark.parametrize("text", ['"""\nimport os\n"""', "\nimport os #", "\\", '"; import os', "'; import os; '"])
def test_texts_in_a_patch_stay_texts(text: str, repository: Path) -> None:
    import ast

    found = hostile(constants=repr({"LAYERS": ({text: True}, "x")}), target=f"{{}}.{text}", notes=[text])
    try:
        patch = subject(repository, Answers(Said("", found))).patch(Way.SHIELD)
    except CodeFailedError:
        return
    assert isinstance(patch, Patch)
    imported = {
        alias.name for node in ast.walk(ast.parse(patch.text)) if isinstance(node, ast.Import) for alias in node.names
    }
    assert "os" not in imported
    assert not any(isinstance(one, ast.Expr) for one in ast.parse(patch.text).body[1:])


def test_without_anything_to_patch_there_is_no_patch(repository: Path) -> None:
    assert subject(repository, Answers(Said("", []))).patch() is None
