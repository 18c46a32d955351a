"""Which entries of a list were met, and where in a file their results are: on disk, as lists may be longer than memory.

The database is a temporary one without a name, gone with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

_CACHE_KIB = 32 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """A line in a file of results."""

    offset: int
    length: int
    digest: str
    """Of what it was scanned with."""
    told: str
    """What it comes to, as JSON."""


class Index:
    """Entries by their ids."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            "CREATE TABLE entries (id BLOB PRIMARY KEY, number INTEGER, offset INTEGER, length INTEGER, digest TEXT,"
            " told TEXT) WITHOUT ROWID",
            "BEGIN",
        ):
            self._database.execute(statement)

    def close(self) -> None:
        self._database.close()

    def there_is(self, id: bytes, place: Place) -> bool:
        """Note that a file has the result of an entry already; whether it is the first."""
        row = (id, place.offset, place.length, place.digest, place.told)
        made = self._database.execute(
            "INSERT OR IGNORE INTO entries (id, offset, length, digest, told) VALUES (?, ?, ?, ?, ?)", row
        )
        return made.rowcount == 1

    def is_new(self, id: bytes, number: int) -> bool:
        """Note that the list names an entry, with its number; whether it is the first time."""
        made = self._database.execute(
            "INSERT INTO entries (id, number) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET number = excluded.number WHERE number IS NULL",
            (id, number),
        )
        return made.rowcount == 1

    def place(self, id: bytes) -> Place | None:
        """Where the result of an entry is."""
        row = self._database.execute(
            "SELECT offset, length, digest, told FROM entries WHERE id = ? AND offset IS NOT NULL", (id,)
        ).fetchone()
        return None if row is None else Place(*row)

    def put(self, id: bytes, offset: int, length: int) -> None:
        """Note where the result of an entry was written."""
        self._database.execute("UPDATE entries SET offset = ?, length = ? WHERE id = ?", (offset, length, id))

    def in_order(self) -> Iterator[tuple[int, int]]:
        """Offset and length of all results, by the number of their entries; behind them those that the list lacks."""
        return iter(
            self._database.execute(
                "SELECT offset, length FROM entries WHERE offset IS NOT NULL ORDER BY number IS NULL, number, offset"
            )
        )

    def digests(self) -> set[str]:
        """What all results of a file that was there were scanned with."""
        rows = self._database.execute("SELECT DISTINCT digest FROM entries WHERE digest IS NOT NULL")
        return {digest for (digest,) in rows}

    def strangers(self) -> int:
        """How many results are of entries that the list lacks."""
        (count,) = self._database.execute("SELECT count(*) FROM entries WHERE number IS NULL").fetchone()
        return int(count)
