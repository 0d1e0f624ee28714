"""What holds for every environment: Gymnasium's own check, seeds, both forms, no loop over items, order of policies."""

import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from ecomine.errors import SettingsError
from ecomine.simulation.environments import NAMES, bidding, forms, pricing, replenishment
from ecomine.simulation.environments.assortment import assortment
from tests.simulation.conftest import Made

SHOP = assortment(120)
WORLDS: dict[str, Any] = {
    "pricing": lambda: (pricing.Pricing(SHOP), pricing.list_prices, lambda world: pricing.best_prices),
    "replenishment": lambda: (replenishment.Replenishment(SHOP), replenishment.by_sales, replenishment.by_demand),
    "second price": lambda: (bidding.Bidding(SHOP), bidding.market_bid, bidding.paced),
    "first price": lambda: (bidding.Bidding(SHOP, first_price=True), bidding.market_bid, bidding.paced),
}


@pytest.mark.parametrize("name", NAMES)
def test_gymnasiums_own_check_passes(name: str) -> None:
    """Its warnings are errors here."""
    environment = gymnasium.make(f"ecomine/{name}-v0", items=12)
    check_env(environment.unwrapped)
    environment.close()


def trajectory(environment: Any, seed: int, steps: int = 5) -> bytes:
    """All that an environment says to a seed and actions drawn from it, beyond the end of an episode or not."""
    observation, _ = environment.reset(seed=seed)
    environment.action_space.seed(seed)
    said = [observation.tobytes()]
    for _ in range(steps):
        observation, reward, _, _, info = environment.step(environment.action_space.sample())
        said += [observation.tobytes(), np.asarray(reward).tobytes(), *(info[key].tobytes() for key in sorted(info))]
    return b"".join(said)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_and_actions_give_the_same_bytes(name: str) -> None:
    for form in (
        gymnasium.make(f"ecomine/{name}-v0", items=20).unwrapped,
        gymnasium.make_vec(f"ecomine/{name}-v0", num_envs=20, levels=7),
    ):
        assert trajectory(form, 5) == trajectory(form, 5) != trajectory(form, 6)


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_are_one_shop(name: str) -> None:
    together = gymnasium.make(f"ecomine/{name}-v0", items=15).unwrapped
    apart = gymnasium.make_vec(f"ecomine/{name}-v0", num_envs=15)
    assert (together.reset(seed=3)[0] == apart.reset(seed=3)[0]).all()
    action = np.linspace(0, 1, 15, dtype=np.float32)
    one, two = together.step(action), apart.step(action)
    assert (one[0] == two[0]).all() and (one[4]["reward"] == two[1]).all()
    assert one[1] == pytest.approx(two[1].sum())
    assert two[0].shape == (15, *apart.single_observation_space.shape) and apart.observation_space.contains(two[0])


def test_the_step_after_an_end_begins_anew() -> None:
    apart = gymnasium.make_vec("ecomine/Pricing-v0", num_envs=10, days=2, levels=5)
    apart.reset(seed=1)
    ends = [apart.step(np.full(10, 2)) for _ in range(4)]
    assert [bool(step[3].all()) for step in ends] == [False, True, False, False]
    assert (ends[2][1] == 0).all() and (ends[3][1] != 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_step_calls_as_many_functions_for_thousands_of_items_as_for_tens(name: str) -> None:
    def calls(items: int) -> int:
        environment = gymnasium.make_vec(f"ecomine/{name}-v0", num_envs=items, levels=4)
        environment.reset(seed=2)
        action = np.full(items, 2)
        environment.step(action)
        count = 0

        def seen(frame: object, event: str, argument: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(seen)
        try:
            environment.step(action)
        finally:
            sys.setprofile(None)
        return count

    assert abs(calls(5000) - calls(50)) < 20


@pytest.mark.parametrize("which", WORLDS)
def test_who_knows_the_truth_earns_most_and_chance_least(which: str) -> None:
    world, plain, best = WORLDS[which]()
    knows = best(world)
    for episode in (1, 2, 3):
        chance = forms.earned(world, forms.at_random(episode), episode).sum()
        baseline = forms.earned(world, plain, episode).sum()
        oracle = forms.earned(world, knows, episode).sum()
        assert chance < baseline < oracle, (which, episode)


@pytest.mark.parametrize("which", WORLDS)
def test_shares_and_amounts_go_both_ways(which: str) -> None:
    world = WORLDS[which]()[0]
    amount = world.amount(np.linspace(0, 1, world.items))
    assert world.amount(world.share(amount)) == pytest.approx(amount)


def test_an_environment_of_a_simulated_shop(clean_shop: Made) -> None:
    for name in NAMES:
        environment = gymnasium.make(f"ecomine/{name}-v0", shop=clean_shop.folder).unwrapped
        assert environment.action_space.shape == (clean_shop.params.items,)
        environment.reset(seed=1)
        environment.step(environment.action_space.sample())
    world = replenishment.Replenishment(assortment(0, shop=clean_shop.folder))
    sold = clean_shop.ask(
        f"""SELECT sum(units) FROM (SELECT location_id, sum(organic) / {clean_shop.params.days} AS units
        FROM truth_demand GROUP BY ALL ORDER BY units DESC LIMIT 1)"""
    )[0][0]
    assert world.shop.base.sum() == pytest.approx(float(sold), rel=0.35)
    assert forms.earned(world, replenishment.by_demand(world), 4).sum() > 0


def test_wrong_actions_and_shops_are_told(tmp_path: Any) -> None:
    environment = gymnasium.make("ecomine/Pricing-v0", items=9).unwrapped
    environment.reset(seed=1)
    with pytest.raises(SettingsError, match="expected 9 shares, each from 0 to 1"):
        environment.step(np.full(9, 1.5, np.float32))
    with pytest.raises(SettingsError, match="holds no simulated shop"):
        gymnasium.make("ecomine/Bidding-v0", shop=tmp_path)
    with pytest.raises(SettingsError, match="at least 8"):
        gymnasium.make("ecomine/Bidding-v0", items=2)
