import numpy as np
import pytest

from ecomine.risk.rarity import Tail


def test_rarity_is_how_few_lie_so_far_out() -> None:
    tail = Tail.of(np.arange(1.0, 1001.0))
    shares = {1000.0: 1 / 1001, 991.0: 10 / 1001, 901.0: 100 / 1001, 1.0: 1000 / 1001}
    for distance, share in shares.items():
        assert tail.rarity(np.array([distance]))[0] == pytest.approx(-np.log10(share), abs=0.02)
    assert tail.rarity(np.array([0.0, -1.0])).tolist() == [0.0, 0.0]
    far = tail.rarity(np.array([1000.0, 2000.0, 10_000.0]))
    assert far[0] < far[1] < far[2] == pytest.approx(far[0] + 4.0)


def test_what_most_values_reach_is_not_rare() -> None:
    tail = Tail.of(np.array([5.0] * 99 + [9.0]))
    assert tail.rarity(np.array([5.0]))[0] == pytest.approx(np.log10(101 / 100))
    assert tail.rarity(np.array([9.0]))[0] == pytest.approx(np.log10(101))


def test_a_side_without_values_finds_anything_rare() -> None:
    tail = Tail.of(np.array([]), rows=999)
    assert tail.rarity(np.array([0.5]))[0] > 3.0
