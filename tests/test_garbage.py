"""What is imported is not looked through for dead objects, and everything is put back."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from archlint.garbage import importing, seldom_collected


class Knot:
    """Refers to itself, so that only a search finds it dead."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    usual = gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)
    yield
    state = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
    gc.freeze()  # as for all tests
    gc.set_threshold(*usual)
    assert state == (True, (700, 10, 10), 0)


def test_nothing_is_looked_for_while_importing() -> None:
    with importing():
        assert not gc.isenabled()
    with pytest.raises(ImportError), importing():
        raise ImportError


def test_what_was_imported_is_put_aside_until_the_end() -> None:
    with seldom_collected():
        with importing():
            library = [[] for _ in range(100)]  # type: ignore[var-annotated]
        assert gc.isenabled()
        assert gc.get_freeze_count() > len(library)
        assert not any(thing is library for thing in gc.get_objects())
    assert any(thing is library for thing in gc.get_objects())


def test_outside_of_a_check_nothing_is_put_aside() -> None:
    before = gc.get_freeze_count()
    with importing():
        pass
    assert gc.get_freeze_count() == before


def test_within_another_check_it_stays_aside() -> None:
    with seldom_collected():
        with importing():
            pass
        with seldom_collected():
            pass
        assert gc.get_freeze_count()


def test_what_died_meanwhile_is_found_afterwards() -> None:
    with seldom_collected():
        dead = weakref.ref(Knot())
        with importing():
            pass
    gc.collect()
    assert dead() is None


def test_who_turned_it_off_keeps_it_off() -> None:
    gc.disable()
    try:
        with seldom_collected(), importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_larger_threshold_stays() -> None:
    with seldom_collected():
        assert gc.get_threshold()[0] > 700
    gc.set_threshold(100_000, 5, 5)
    with seldom_collected():
        assert gc.get_threshold() == (100_000, 5, 5)
    gc.set_threshold(700, 10, 10)
