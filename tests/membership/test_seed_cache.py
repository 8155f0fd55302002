"""Opened seeds are kept for minutes, and not too many of them."""

import pickle
from datetime import datetime, timedelta

import pytest

from coalition.domain.payment_codes import CodeKeys
from coalition.membership.seed_cache import DEVICES_MAX, SECONDS_MAX, SeedCache
from tests.offices import NOON

KEYS = CodeKeys(b"t" * 32, b"o" * 32)


class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


def test_keys_are_forgotten_after_five_minutes():
    clock = Clock()
    cache = SeedCache(clock)
    cache.put(1, KEYS)
    clock.now += timedelta(seconds=SECONDS_MAX - 1)
    before = cache.get(1)
    clock.now += timedelta(seconds=1)

    assert (KEYS, None, None) == (before, cache.get(1), cache.get(2))


def test_the_oldest_go_where_there_are_too_many():
    cache = SeedCache(Clock())
    for card_id in range(DEVICES_MAX + 1):
        cache.put(card_id, KEYS)

    assert (None, KEYS, KEYS) == (cache.get(0), cache.get(1), cache.get(DEVICES_MAX))


def test_a_cache_of_keys_is_never_pickled():
    with pytest.raises(TypeError):
        pickle.dumps(SeedCache(Clock()))
    assert "t" * 8 not in repr(KEYS)
