"""Finding what the user named: a path, a model type, a hub repository, a bundled snapshot or a family."""

from __future__ import annotations

import re
from dataclasses import replace

from archlint.sources import custom_code, hub, jsonfile, local, model_types, snapshots, suggestions
from archlint.sources.contents import CONFIG, no_model
from archlint.sources.hub import Failure, HubError
from archlint.sources.sanity import check_sizes
from archlint.sources.source import Source, SourceError, SourceOptions

_TYPE = "type:"
_ADDRESS = re.compile(r"(?:https?://(?:www\.)?(?:huggingface\.co|hf\.co)/|hf://(?:models/)?)([^/?#]+/[^/?#@]+)")


def resolve(name: str, options: SourceOptions = SourceOptions()) -> Source:  # noqa: B008 (frozen)
    """The architecture that ``name`` means.

    Tried in this order: an existing path, ``type:NAME``, a hub repository (the hub, then its cache, then the
    bundled snapshot), a model type of this name, a family.

    Raises:
        SourceError: there is no such thing, it cannot be read, or its sizes are absurd.
    """
    source = _find(name, options)
    if source.config is not None:
        where = source.id if source.origin in ("local", "type") else f"{CONFIG} of {source.id}"
        model_type = source.config.get("model_type")
        named = isinstance(model_type, str) and model_type
        if not named and not options.class_name and not custom_code.files(source.config):
            raise no_model(where, source.config, source.id if source.origin == "local" else None)
        check_sizes(source.config, where)
    return source


def _find(name: str, options: SourceOptions) -> Source:
    if not name.strip():
        raise SourceError("the source has no name", "write a path, organisation/name, or type:NAME")
    if local.exists(name):
        return local.load(name, options)
    if name.startswith(_TYPE):
        return _type(name, name.removeprefix(_TYPE))
    if "://" in name:
        address = _ADDRESS.match(name)
        hint = f"write the repository's id: {address[1]}" if address else "download the file and give its path"
        raise SourceError(f"{name} is an address", hint)
    if local.looks_like_path(name):
        raise SourceError(f"there is no file or folder {name}")
    hub.check_id(name)
    return _repository(name, options)


def _type(name: str, model_type: str) -> Source:
    found = model_types.find(model_type)
    if found is None:
        version = model_types.transformers_version()
        if version is None:
            raise SourceError(f"{name} needs transformers", "install it: pip install transformers")
        similar = suggestions.similar_types(model_type)
        raise SourceError(f"transformers {version} has no model type {model_type!r}", _did_you_mean(similar))
    return Source(name=name, id=found, origin="type", config={"model_type": found})


def _repository(name: str, options: SourceOptions) -> Source:
    pinned = hub.cached(name, options) if hub.is_commit(options.revision) else None
    if pinned is not None and not custom_code.is_needed(pinned.document.content):
        return _downloaded(name, "cache", pinned)  # a commit does not change: nothing to ask
    try:
        return _downloaded(name, "hub", hub.fetch(name, options))
    except HubError as error:
        problem = error
    if problem.failure is Failure.NO_REVISION:
        raise problem
    if problem.failure is not Failure.NO_CONFIG and (download := hub.cached(name, options)):
        return _noted(_downloaded(name, "cache", download), f"{problem.summary}; the hub's cache was used")
    if source := _bundled(name, options, problem):
        return source
    if problem.failure in (Failure.UNREACHABLE, Failure.NO_REPOSITORY):
        if source := _type_of_this_name(name, problem):
            return source
        if family := snapshots.family(name):
            return _representative(name, family, options)
        if "/" not in name and (full_name := snapshots.full_name(name)):
            return _noted(replace(_repository(full_name, options), name=name), f"{name} is taken as {full_name}")
    raise _not_found(name, options, problem)


def _downloaded(name: str, origin: str, download: hub.Download) -> Source:
    config = download.document.content
    elsewhere = {code.repository for code in custom_code.files(config)} - {None, name}
    notes = [f"its code comes from another repository, {place}" for place in sorted(filter(None, elsewhere))]
    return Source(
        name=name,
        id=name,
        origin=origin,
        config=config,
        revision=download.commit,
        folder=download.folder if custom_code.is_needed(config) else None,
        notes=tuple(jsonfile.remarks(download.document, CONFIG) + notes),
    )


def _bundled(name: str, options: SourceOptions, problem: HubError) -> Source | None:
    """The snapshot of this repository, unless something more exact was asked for than a snapshot can be."""
    snapshot = snapshots.find(name)
    if snapshot is None or options.revision or options.subfolder:
        return None
    which = "" if snapshot.id == name else f" of {snapshot.id}"
    note = f"{problem.summary}; the bundled snapshot{which} was used"
    return Source(name=name, id=snapshot.id, origin="snapshot", config=snapshot.config, notes=(note,))


def _type_of_this_name(name: str, problem: HubError) -> Source | None:
    found = model_types.find(name) if "/" not in name else None
    if found is None:
        return None
    notes = [f"{problem.summary}; {name} is taken as the model type {found}, with its default sizes and parts"]
    published = [snapshot.id for snapshot in snapshots.snapshots() if snapshot.config["model_type"] == found]
    if published:
        notes.append(f"a published model of this type may have other parts, such as towers: {published[0]} is bundled")
    return replace(_type(name, found), notes=tuple(notes))


def _representative(name: str, family: snapshots.Family, options: SourceOptions) -> Source:
    note = f"{family.name} is a family; its representative {family.representative} was taken"
    source = _repository(family.representative, options)
    return replace(source, name=name, family=family.others, notes=(note, *source.notes))


def _not_found(name: str, options: SourceOptions, problem: HubError) -> SourceError:
    if problem.failure not in (Failure.UNREACHABLE, Failure.NO_REPOSITORY):
        return problem
    similar = suggestions.similar_sources(name)
    if problem.failure is Failure.NO_REPOSITORY:
        return SourceError(problem.message, _did_you_mean(similar) or problem.hint)
    missing = f"{name} is neither in the hub's cache nor among the bundled snapshots, and {problem.message}"
    if snapshots.find(name) is not None:
        missing = f"what was asked for of {name} is not in the hub's cache, and {problem.message}"
        return SourceError(missing, "without --revision and --subfolder the bundled snapshot is used")
    return SourceError(missing, _did_you_mean(similar) or problem.hint)


def _did_you_mean(similar: list[str]) -> str | None:
    return f"did you mean {' or '.join(similar)}?" if similar else None


def _noted(source: Source, note: str) -> Source:
    return replace(source, notes=(note, *source.notes))
