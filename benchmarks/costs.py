"""What a scan of very many configs takes, from what it takes for one: the model behind docs/speed.md. Plain data only.

Two things bound a scan. Its workers run each distinct architecture once, on all cores. The process that leads them
finds, compares and writes down each config, which is work for one core: so there is one scan for every
:data:`CORES_A_SCAN` cores, each with a part of the list (``--shard``) and all with one folder of results, so that none
runs what another one knows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pages

CONFIGS = (10_000, 100_000, 2_000_000)
SHARES = (0.01, 0.05, 0.2, 1.0)
"""Of distinct architectures among configs. Nobody has counted what it is on a hub."""
CORES = (2, 16, 128)
CORES_A_SCAN = 16
LATENCIES = (0.05, 0.3)
"""Seconds for one answer of a hub."""
SCANS = (1, 8)
THREADS = 16
"""With which one scan asks a hub."""
_HOUR = 3600


@dataclass(frozen=True)
class Rates:
    """What is measured: seconds of processor time, unless something else is said."""

    proven: float
    """For a distinct architecture, fully proven."""
    static: float
    """For a distinct architecture, its structure only."""
    alike: float
    """For a config whose architecture the scan has had."""
    known: float
    """For a config whose report is among the results that are kept."""
    fetched: float
    """For a config whose architecture the scan has had, and which comes from a hub that answers at once."""
    requests: float
    """Requests to a hub for one config."""
    fork: float
    """Seconds for a fork of the process with all imports, and its end. It is a part of what an architecture takes."""
    shared: float
    """Megabytes of the process that workers are forked from, which they share."""
    own: float
    """Megabytes that a worker has beside those."""
    largest: float
    """Megabytes of the largest worker at its peak, with those that it shares."""


def hours(configs: int, distinct: int, cores: int, rates: Rates, *, prove: bool = True) -> float:
    """Hours until ``configs``, of which ``distinct`` are not like an earlier one, are scanned on ``cores``.

    Fetching them is not included (:func:`fetching`), nor are scans that begin with an empty folder of results each.
    """
    run = distinct * (rates.proven if prove else rates.static)
    led = configs * rates.alike
    return max((run + led) / cores, led / _scans(cores)) / _HOUR


def again(configs: int, cores: int, rates: Rates) -> float:
    """Hours of a scan whose results are all kept from an earlier one."""
    return configs * rates.known / _scans(cores) / _HOUR


def fetching(configs: int, scans: int, latency: float, rates: Rates) -> float:
    """Hours until so many scans have fetched the configs, from a hub that takes ``latency`` seconds for an answer.

    To fetch and to write down is work for the same core. It goes on while the workers run: a scan takes as long as the
    longer of the two.
    """
    waiting = rates.requests * latency / THREADS
    return configs * max(waiting, rates.fetched) / scans / _HOUR


def _scans(cores: int) -> int:
    return math.ceil(cores / CORES_A_SCAN)


def scanning_table(rates: Rates) -> str:
    """Time for numbers of configs, shares of distinct ones and cores."""
    header = ["configs", "distinct", "work left"]
    header += [f"{how}, {cores} cores" for how in ("proven", "structure only") for cores in CORES]
    return pages.table(header, _scanning_rows(rates))


def _scanning_rows(rates: Rates) -> Iterator[list[str]]:
    for configs in CONFIGS:
        for share in SHARES:
            distinct = round(configs * share)
            part = hours(configs, distinct, CORES[0], rates) / hours(configs, configs, CORES[0], rates)
            times = [
                duration(hours(configs, distinct, cores, rates, prove=prove))
                for prove in (True, False)
                for cores in CORES
            ]
            yield [f"{configs:,}", f"{100 * share:.0f} %", f"{100 * part:.1f} %", *times]


def fetching_table(rates: Rates) -> str:
    """Time to fetch configs, and to scan again what is known."""
    places = [(scans, latency) for scans in SCANS for latency in LATENCIES]
    header = ["configs", *(f"{_counted(scans)}, {1000 * latency:.0f} ms an answer" for scans, latency in places)]
    header += [f"again, {cores} cores" for cores in CORES[1:]]
    rows = (
        [
            f"{configs:,}",
            *(duration(fetching(configs, scans, latency, rates)) for scans, latency in places),
            *(duration(again(configs, cores, rates)) for cores in CORES[1:]),
        ]
        for configs in CONFIGS
    )
    return pages.table(header, rows)


def rates_table(rates: Rates) -> str:
    """What was measured."""
    rows = (
        ("a distinct architecture, fully proven", f"{rates.proven:.2f} s"),
        ("a distinct architecture, structure only", f"{rates.static:.2f} s"),
        ("a config like an earlier one", _milliseconds(rates.alike)),
        ("a config whose report is kept", _milliseconds(rates.known)),
        ("such a config, fetched from a hub that answers at once", _milliseconds(rates.fetched)),
        ("requests for a config", f"{rates.requests:.1f}"),
        ("a fork and its end, part of an architecture", _milliseconds(rates.fork)),
        ("memory that all workers share", f"{rates.shared:.0f} MB"),
        ("memory of each worker beside that", f"{rates.own:.0f} MB"),
        ("the largest worker, with what it shares", f"{rates.largest:.0f} MB"),
    )
    return pages.table(("", "measured"), rows)


def duration(hours: float) -> str:
    """A time as a reader takes it in: two digits, in the unit that fits."""
    if hours * 60 < 1:
        return "< 1 min"
    if hours < 2:
        return f"{_two_digits(hours * 60)} min"
    return f"{_two_digits(hours)} h" if hours < 100 else f"{_two_digits(hours / 24)} days"


def _two_digits(number: float) -> str:
    return f"{number:.1f}" if number < 9.95 else f"{float(f'{number:.2g}'):.0f}"


def _milliseconds(seconds: float) -> str:
    return f"{_two_digits(1000 * seconds)} ms"


def _counted(scans: int) -> str:
    return f"{scans} scan" + ("s" if scans > 1 else "")
