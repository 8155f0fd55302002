"""Samples: each draw follows from root and seed, nobody is likelier, and what is large is hit for certain."""

from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest

from coalition.audit import sampling
from coalition.audit.bundle import Bundle
from coalition.audit.errors import EvidenceMalformed
from coalition.audit.sampling import Chance, Method, draw, hit

ROOT = bytes(range(32))


def test_a_draw_is_pinned_for_ever() -> None:
    """An auditor's paper of today must be drawn again in ten years."""
    chance = Chance(ROOT, "4-2-6-6-1-3-5-2")

    assert [410, 854, 73, 967] == [chance.below(1000) for _ in range(4)]


def test_another_seed_or_root_draws_others() -> None:
    draws = {tuple(Chance(root, seed).choose(1000, 10)) for root in (ROOT, bytes(32)) for seed in ("a", "b")}

    assert 4 == len(draws)


def test_every_place_is_as_likely() -> None:
    counts: Counter[int] = Counter()
    for number in range(4000):
        chosen = Chance(ROOT, str(number)).choose(10, 3)
        assert len(set(chosen)) == 3
        counts.update(chosen)

    assert all(1080 < counts[place] < 1320 for place in range(10)), counts  # 1200 each; 4 standard deviations


@pytest.mark.parametrize("size", [1, 5, 10])
def test_as_many_as_there_are_are_all(size: int) -> None:
    assert list(range(size)) == Chance(ROOT, "s").choose(size, size)


def test_an_operation_is_hit_as_often_as_it_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1000 in 10 draws: 500 is hit five times, 1 in a tenth... of the seeds."""
    amounts = [500, 100, 1, 399]
    monkeypatch.setattr(
        sampling, "operations", lambda _: iter([(place, 7, amount) for place, amount in enumerate(amounts)])
    )
    hits: Counter[int] = Counter()
    for number in range(500):
        drawn = list(hit(cast("Any", None), 1000, 10, Chance(ROOT, str(number))))
        assert sum(each.hits for each in drawn) == 10
        hits.update({each.entry_id: each.hits for each in drawn})

    assert (2500, 500) == (hits[0], hits[1])
    assert 0 < hits[2] < 15
    assert 5000 == sum(hits.values())


@pytest.mark.parametrize(("size", "seed"), [(0, "x"), (10_001, "x"), (1, ""), (1, "x" * 201)])
def test_a_size_or_seed_out_of_bounds_is_refused(size: int, seed: str, tmp_path: Path) -> None:
    with pytest.raises(EvidenceMalformed, match=r"sample|seed"):
        draw(cast("Bundle", None), Method.ATTRIBUTE, size, seed)
