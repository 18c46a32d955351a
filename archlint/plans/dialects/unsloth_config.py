"""unsloth's config file, in YAML or JSON."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from archlint.plans.dialect import Reading, Remark
from archlint.plans.dialects import reading as take
from archlint.plans.dialects.flat import Settings, known_keys
from archlint.plans.dialects.unsloth import UnslothCommand
from archlint.plans.document import Document, Entry, PlanError, Section


def _names(data: Any) -> list[str]:
    return [name for name in take.commas(take.text(data)) if name]


class UnslothConfig(UnslothCommand):
    """The file that ``unsloth train --config`` takes: the same settings in sections (``unsloth_cli/config.py``).

    unsloth refuses a file with a key that it does not know, or in another section. Findings are shown at the section:
    a document has an entry for it as a whole, and nothing is written into it.
    """

    name = "unsloth-config"
    table = "unsloth_config"
    keys = tuple(
        replace(key, read=_names) if key.name == "target_modules" else key
        for key in UnslothCommand.keys
        if key.name != "config"
    )

    def _claim(self, document: Document, section: Section) -> int:
        if section.about:
            return 0
        known = known_keys(self.table)[1]
        inside = [entry.key for entry in _unfolded(document, section)]
        return sum(key in known for key in inside if key.partition(".")[0] in ("training", "lora") and "." in key)

    def settings(self, document: Document, section: Section) -> Settings:
        known = known_keys(self.table)[1]
        inside = {entry.key: entry for entry in _unfolded(document, section)}
        plain = {key.rpartition(".")[2]: entry for key, entry in inside.items() if key in known}
        entries = {name: replace(entry, key=name) for name, entry in plain.items()}
        for key, entry in inside.items():
            if key not in known:
                apart = key if "." in key else f".{key}"  # unlike the name of any setting
                entries[apart] = replace(entry, key=apart)
        return super().settings(document, replace(section, entries=entries))

    def reading(self, settings: Settings, **content: Any) -> Reading:
        reading = super().reading(settings, **content)
        return replace(reading, keys=dict.fromkeys(reading.keys, ("lora",)))

    def strangers(self, document: Document, section: Section) -> Iterable[Remark]:
        version, known = known_keys(self.table)
        places = {key.rpartition(".")[2]: key.rpartition(".")[0] for key in known}
        for entry in section.entries.values():
            where, dot, name = entry.key.rpartition(".")
            if dot:
                wanted = name.replace("-", "_")
                near = [wanted] if wanted in places else difflib.get_close_matches(wanted, sorted(places), 1, 0.75)
                hint = f"; did you mean {f'{places[near[0]]}.{near[0]}'.lstrip('.')}?" if near else ""
                yield Remark(entry.line, f"{self.title} {version} has no key {name}{where and f' in {where}'}{hint}")

    def spell(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        raise PlanError("archlint does not write into the sections of an unsloth config")


def _unfolded(document: Document, section: Section) -> Iterator[Entry]:
    """The entries of ``section``, of each mapping what is in it: as ``lora.lora_r``, with the line where it stands."""
    for entry in section.entries.values():
        if not isinstance(entry.data, dict):
            yield entry
            continue
        start, end = entry.value.start, entry.value.end
        for name, data in entry.data.items():
            key = re.compile(rf"""(?<![\w.-])["']?{re.escape(str(name))}["']?\s*:""")
            found = key.search(document.text, start, end)
            line = document.text.count("\n", 0, found.start()) + 1 if found else entry.line
            yield Entry(f"{entry.key}.{name}", line, entry.start, replace(entry.value, data=data, line=line, items=()))
