"""Sources on the hub: the configuration and, where an architecture is nowhere else, code files. Never weights.

huggingface_hub retries for some twenty seconds where there is no network. So the first question is whether its
host answers at all, the second a single request without retries, and only then its own download is asked.
"""

from __future__ import annotations

import enum
import os
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archlint import __version__
from archlint.sources import custom_code, jsonfile
from archlint.sources.contents import (
    ADAPTER_CONFIG,
    ADAPTER_PICKLE,
    ADAPTER_WEIGHTS,
    CONFIG,
    no_config,
    no_weights,
    unread_pickle,
)
from archlint.sources.source import SourceError, SourceOptions

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

ANSWER_SECONDS = 4.0
"""How long the hub may take for one answer, unless HF_HUB_ETAG_TIMEOUT says otherwise."""
TOTAL_SECONDS = 30.0
"""How long everything together may take, code files included."""
_MOST_CODE_FILES = 100
_LARGEST_CODE_FILE = 5_000_000
"""Bytes; fifty times what the largest has."""
_PLAIN_ID = re.compile(r"(?:[a-z0-9]+(?:[-._][a-z0-9]+)*/)?[a-z0-9]+(?:[-._][a-z0-9]+)*", re.ASCII | re.IGNORECASE)
_ID_LENGTH = 96


class Failure(enum.Enum):
    """Why the hub gave nothing."""

    UNREACHABLE = "unreachable"
    NO_REPOSITORY = "no repository"
    REFUSED = "refused"
    NO_REVISION = "no revision"
    NO_CONFIG = "no config"


class HubError(SourceError):
    """The hub did not give a configuration.

    Attributes:
        failure: what kind of reason it was.
        summary: the reason in a few words, for a note about what was taken instead.
    """

    def __init__(self, failure: Failure, summary: str, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.failure = failure
        self.summary = summary


class AdapterOnHubError(HubError):
    """A repository holds an adapter of PEFT and no model.

    Attributes:
        settings: its adapter_config.json in the hub's cache.
        shapes: the shapes of its weights by name, where their file has a header to read them from.
        lack: why there are none, where that keeps something from being checked.
    """

    def __init__(
        self, settings: Path, shapes: Mapping[str, tuple[int, ...]] | None, lack: str, error: HubError
    ) -> None:
        super().__init__(error.failure, error.summary, error.message, error.hint)
        self.settings = settings
        self.shapes = shapes
        self.lack = lack


@dataclass(frozen=True, slots=True)
class Download:
    """A configuration in the hub's cache."""

    file: Path
    commit: str
    document: jsonfile.Document
    folder: Path
    """The root of the repository in the cache, at that commit."""


def endpoint() -> str:
    """The address of the hub."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def fetch(repository: str, options: SourceOptions) -> Download:
    """The configuration of ``repository`` at the revision of ``options``, asked from the hub.

    Where nothing but the repository's own code has the architecture, the code files are fetched as well. What of them
    cannot be had, without ``trust_remote_code``, is left to who reads them.

    Raises:
        HubError: the hub cannot be asked, or does not give it.
        SourceError: what it gives is not JSON, or cannot be stored.
    """
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if options.offline or HF_HUB_OFFLINE:
        raise _offline()
    from archlint.sources import network

    address = endpoint()
    if reason := network.obstacle(address):
        raise _unreachable(reason)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return network.within(TOTAL_SECONDS, lambda: _Client(address, options).download(repository))
    except TimeoutError as error:
        raise _late(address) from error


def cached(repository: str, options: SourceOptions) -> Download | None:
    """The configuration of ``repository`` in the hub's cache, at the revision of ``options``.

    Raises:
        SourceError: it is there, but is not JSON.
    """
    try:
        found = _in_cache(repository, _config_path(options), options)
    except OSError:  # a cache that may not be read has nothing for us
        return None
    return _downloaded(Path(found), options) if isinstance(found, str) else None


def _in_cache(repository: str, file: str, options: SourceOptions) -> object:
    """What :func:`huggingface_hub.try_to_load_from_cache` gives.

    It need not be asked, which takes longer to import than all else here, where there is no folder of the repository,
    nor where the file lies where the documentation of the cache says.
    """
    from huggingface_hub import constants

    cache = constants.HF_HUB_CACHE if options.cache_dir is None else options.cache_dir
    folder = Path(cache, constants.REPO_ID_SEPARATOR.join(("models", *repository.split("/"))))
    if not folder.is_dir():
        return None
    commit = options.revision or "main"
    if (reference := folder / "refs" / commit).is_file():
        commit = reference.read_text()
    if is_commit(commit) and not (folder / ".no_exist" / commit / file).exists():
        held = folder / "snapshots" / commit / file
        if held.is_file():
            return str(held)
    from huggingface_hub import try_to_load_from_cache

    return try_to_load_from_cache(repository, file, cache_dir=options.cache_dir, revision=options.revision)


def is_commit(revision: str | None) -> bool:
    """Whether ``revision`` is a full commit hash, which always means the same content."""
    return revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def check_id(name: str) -> None:
    """Refuse a name that no repository can have.

    Raises:
        SourceError: says what a name may hold.
    """
    if len(name) <= _ID_LENGTH and _PLAIN_ID.fullmatch(name) and not name.lower().endswith(".git"):
        return  # of any other name huggingface_hub is asked
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HFValidationError

    try:
        hf_hub_url(name, CONFIG)
    except HFValidationError as error:
        raise SourceError(
            f"{name!r} is neither an existing path nor a name that a repository can have",
            "write organisation/name, a path, or type:NAME",
        ) from error


class _Client:
    """One conversation with the hub at ``address``."""

    def __init__(self, address: str, options: SourceOptions) -> None:
        self.address = address
        self.options = options
        self.seconds = float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or ANSWER_SECONDS)

    def download(self, repository: str) -> Download:
        from huggingface_hub.errors import RemoteEntryNotFoundError

        with _muted():
            try:
                self._ask(repository)
                download = self._config(repository)
                if custom_code.is_needed(download.document.content):
                    self._code(repository, download)
            except RemoteEntryNotFoundError as error:
                raise self._no_config(repository) from error
            except (_http().HTTPError, OSError, ValueError, ImportError) as error:  # the last two: a proxy's address
                raise self._explained(error, repository) from error
        return download

    def _metadata(self, repository: str, file: str, revision: str | None) -> HfFileMetadata:
        """What the hub says of a file, asked once and without retries."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(repository, file, revision=revision, endpoint=self.address)
        return get_hf_file_metadata(
            url, timeout=self.seconds, endpoint=self.address, library_name="archlint", library_version=__version__
        )

    def _ask(self, repository: str) -> None:
        """Whether the configuration is there."""
        metadata = self._metadata(repository, _config_path(self.options), self.options.revision)
        if metadata.commit_hash is None:
            raise HubError(
                Failure.UNREACHABLE,
                "hub unreachable (something else answers for it)",
                f"what answers at {self.address} is not the hub",
                "check HF_ENDPOINT, proxy and firewall",
            )
        if (metadata.size or 0) > jsonfile.MAX_BYTES:
            raise SourceError(
                f"{_config_path(self.options)} of {repository} is larger than {jsonfile.MAX_BYTES // 1_000_000} MB",
                "it is no model's configuration",
            )

    def _config(self, repository: str) -> Download:
        return _downloaded(
            Path(self._file(repository, _config_path(self.options), self.options.revision)), self.options
        )

    def _file(self, repository: str, file: str, revision: str | None) -> str:
        from huggingface_hub import hf_hub_download

        return hf_hub_download(
            repository,
            file,
            revision=revision,
            cache_dir=self.options.cache_dir,
            endpoint=self.address,
            etag_timeout=self.seconds,
            library_name="archlint",
            library_version=__version__,
        )

    def _code(self, repository: str, download: Download) -> None:
        """Fetch the files that ``auto_map`` names, and what they import from beside them."""
        from huggingface_hub.errors import RemoteEntryNotFoundError

        pending = [
            (code.repository or repository, code.file, download.commit if code.repository is None else None)
            for code in custom_code.files(download.document.content)
        ]
        seen = set(pending)
        while pending:
            if len(seen) > _MOST_CODE_FILES:
                raise SourceError(f"the code of {repository} is spread over more than {_MOST_CODE_FILES} files")
            place, file, revision = pending.pop()
            try:
                if (self._metadata(place, file, revision).size or 0) > _LARGEST_CODE_FILE:
                    raise SourceError(f"the code of {repository}: {file} is larger than any code")
                path = self._file(place, file, revision)
            except RemoteEntryNotFoundError:
                continue  # an import of a name rather than a module; what is needed and missing shows when it is run
            except (_http().HTTPError, OSError, ValueError) as error:
                if not self.options.trust_remote_code:
                    continue
                reason = self._explained(error, place)
                raise SourceError(f"the code of {repository}: {reason.message}", reason.hint) from error
            source = Path(path).read_text(encoding="utf-8", errors="replace")
            new = {(place, other, revision) for other in custom_code.relative_imports(source, file)} - seen
            seen |= new
            pending += new

    def _no_config(self, repository: str) -> SourceError:
        """What there is instead of a configuration."""
        from huggingface_hub import HfApi

        subfolder = self.options.subfolder
        where = repository if subfolder is None else f"{subfolder} in {repository}"
        prefix = "" if subfolder is None else f"{subfolder.strip('/')}/"
        try:
            every = HfApi(endpoint=self.address).list_repo_files(repository, revision=self.options.revision)
        except (_http().HTTPError, OSError, ValueError):
            error = SourceError(f"{where} has no {CONFIG}", "if it lies in a folder, add --subfolder")
        else:
            files = {file.removeprefix(prefix) for file in every if file.startswith(prefix)}
            if not files and subfolder is not None:
                return HubError(Failure.NO_CONFIG, "no such folder", f"{repository} has no folder {subfolder}")

            def read(file: str) -> Mapping[str, Any]:
                try:
                    path = self._file(repository, prefix + file, self.options.revision)
                except (_http().HTTPError, OSError) as error:
                    raise SourceError(f"{file} cannot be fetched") from error
                return jsonfile.read(Path(path)).content

            error = no_config(where, files, read)
        found = HubError(Failure.NO_CONFIG, f"{where} has no {CONFIG} on the hub", error.message, error.hint)
        return self._adapter(repository, prefix, files, found) if ADAPTER_CONFIG in files else found

    def _adapter(self, repository: str, prefix: str, files: Collection[str], error: HubError) -> SourceError:
        """``error`` with what there is of an adapter: its settings, and the header of its weights."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import SafetensorsParsingError

        try:
            settings = Path(self._file(repository, prefix + ADAPTER_CONFIG, self.options.revision))
        except (_http().HTTPError, OSError):
            return error
        if ADAPTER_WEIGHTS not in files:
            lack = unread_pickle(ADAPTER_PICKLE) if ADAPTER_PICKLE in files else no_weights(repository)
            return AdapterOnHubError(settings, None, lack, error)
        api = HfApi(endpoint=self.address, library_name="archlint", library_version=__version__)
        try:
            header = api.parse_safetensors_file_metadata(
                repository, prefix + ADAPTER_WEIGHTS, revision=self.options.revision
            )
        except (SafetensorsParsingError, _http().HTTPError, OSError, ValueError, KeyError, TypeError) as problem:
            why = " ".join(f"{type(problem).__name__}: {problem}".split())
            return AdapterOnHubError(settings, None, f"the header of {ADAPTER_WEIGHTS} cannot be read: {why}", error)
        shapes = {name: tuple(tensor.shape) for name, tensor in header.tensors.items()}
        return AdapterOnHubError(settings, shapes, "", error)

    def _explained(self, error: BaseException, repository: str) -> SourceError:
        """What ``error``, met while asking for ``repository``, means to the reader."""
        from huggingface_hub import errors

        if isinstance(error, errors.GatedRepoError):
            return HubError(
                Failure.REFUSED,
                "the hub asks to accept the model's terms",
                f"{repository} is gated",
                f"accept its terms at {self.address}/{repository}, then log in: hf auth login",
            )
        if isinstance(error, errors.RepositoryNotFoundError):
            return _no_repository(repository)
        if isinstance(error, errors.RevisionNotFoundError):
            return HubError(
                Failure.NO_REVISION,
                "no such revision",
                f"{repository} has no revision {self.options.revision or 'main'}",
                f"its branches and tags are listed at {self.address}/{repository}/tree/main",
            )
        if isinstance(error, errors.DisabledRepoError):
            return HubError(Failure.REFUSED, "the hub has disabled it", f"{repository} has been disabled on the hub")
        if isinstance(error, errors.HfHubHTTPError):
            return self._explained_status(error.response.status_code, repository)
        if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
            return self._explained(error.__cause__, repository)  # the download wraps what a request met
        if isinstance(error, errors.HFValidationError):
            return SourceError(f"{repository} is no name of a repository")
        if isinstance(error, errors.OfflineModeIsEnabled):
            return _offline()
        if isinstance(error, _http().TimeoutException):
            return _late(self.address)
        if isinstance(error, OSError) and error.errno is not None:  # those of the network are the HTTP library's own
            return SourceError(f"the hub's cache cannot be used: {error}", "choose another with --cache-dir")
        return _unreachable(" ".join(f"{type(error).__name__}: {error}".split()))

    def _explained_status(self, status: int, repository: str) -> HubError:
        if status in (401, 403):
            return HubError(
                Failure.REFUSED,
                f"the hub refuses access ({status})",
                f"the hub refuses access to {repository} ({status})",
                "log in with a token that may read it: hf auth login, or HF_TOKEN",
            )
        if status == 404:
            return _no_repository(repository)
        what = "the hub asks to wait (429)" if status == 429 else f"the hub has a problem ({status})"
        return HubError(Failure.UNREACHABLE, what, what, "try again later, or add --offline")


def _downloaded(file: Path, options: SourceOptions) -> Download:
    depth = len(Path(_config_path(options)).parts)
    root = file.parents[depth - 1]
    return Download(file, commit=root.name, document=jsonfile.read(file), folder=root)


def _config_path(options: SourceOptions) -> str:
    if options.subfolder is None:
        return CONFIG
    parts = Path(options.subfolder).parts
    if not parts or ".." in parts or Path(options.subfolder).is_absolute():
        raise SourceError(f"--subfolder {options.subfolder} is no folder of a repository")
    return "/".join((*parts, CONFIG))


def _no_repository(repository: str) -> HubError:
    return HubError(
        Failure.NO_REPOSITORY,
        "the hub has no such public repository",
        f"there is no file or folder {repository}, and no public repository on the hub",
        "if it is private, log in: hf auth login",
    )


def _offline() -> HubError:
    return HubError(Failure.UNREACHABLE, "offline", "the hub was not asked (offline)")


def _unreachable(reason: str) -> HubError:
    return HubError(Failure.UNREACHABLE, f"hub unreachable ({reason})", f"the hub cannot be reached ({reason})")


def _late(address: str) -> HubError:
    from archlint.sources import network

    reason = "it does not answer in time"
    network.remember(address, reason)
    return _unreachable(reason)


def _http() -> ModuleType:
    """The HTTP library of huggingface_hub: httpx for its versions 1, httpx2 for its versions 2."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its name in both, but not for mypy

    return httpx


@contextmanager
def _muted() -> Iterator[None]:
    """Keep huggingface_hub's log lines and progress bars from the terminal.

    Unlike :func:`archlint.quiet.quiet` it leaves the standard streams alone: a thread that is left alone
    would never give them back.
    """
    import logging

    from huggingface_hub.utils.logging import get_verbosity, set_verbosity
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    verbosity, bars = get_verbosity(), not are_progress_bars_disabled()
    set_verbosity(logging.CRITICAL)
    if bars:
        disable_progress_bars()
    try:
        yield
    finally:
        set_verbosity(verbosity)
        if bars:
            enable_progress_bars()
