"""The products of an environment and the true demand for them: drawn, or those of a simulated shop."""

import json
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ecomine.errors import SettingsError
from ecomine.params import SimulationParams
from ecomine.simulation import demand, oracle, sessions
from ecomine.simulation.catalogue import NEVER, Catalogue, catalogue
from ecomine.simulation.randomness import stream
from ecomine.simulation.shop import MANIFEST
from ecomine.simulation.stock import Stock, allocate
from ecomine.simulation.trade import Market


@dataclass(frozen=True)
class Assortment:
    """Products at one location; `base` is the true units a day of each at reference prices.

    All are on sale throughout: launches and ends of life are left out.
    """

    params: SimulationParams
    goods: Catalogue
    base: np.ndarray

    @property
    def items(self) -> int:
        return self.goods.items

    @property
    def guess(self) -> np.ndarray:
        """Units a day as the shop guesses them before it has sold any."""
        return self.base.sum() * self.goods.guess / self.goods.guess.sum()

    def expected(self, market: Market, day: int) -> np.ndarray:
        """Expected units of a day, by item."""
        return self.base * sessions.day_factor(self.params, day) * market.expected_factor(self.goods)[:, 0]

    def seeded(self, seed: int) -> "Assortment":
        """The same products in another course of events: price plans, rivals, deliveries, customers."""
        return replace(self, params=replace(self.params, seed=seed))


def assortment(items: int, units_per_day: float = 3.0, shop: Path | str | None = None, seed: int = 42) -> Assortment:
    """`items` products that sell `units_per_day` on average, or those of the simulated shop in the workspace `shop`.

    Drawn products differ in demand as the categories' weights and the products' appeal do. With `shop`, demand is that
    of its busiest location as the truth teaches it (oracle.base_demand). Raises SettingsError for too few items, and
    where there is no simulated shop.
    """
    if shop is not None:
        return _of_shop(Path(shop))
    if items < 8:
        raise SettingsError(f"An environment of {items} items; the shop's categories need at least 8.")
    params = SimulationParams(items=items, locations=1, seed=seed)
    goods = _always_on_sale(catalogue(params))
    weight = goods.leaf_weight[goods.leaf] * np.exp(goods.appeal.astype(float))
    return Assortment(params, goods, units_per_day * items * weight / weight.sum())


def _of_shop(workspace: Path) -> Assortment:
    file = workspace / "data/raw" / MANIFEST
    if not file.is_file():
        raise SettingsError(f"{workspace} holds no simulated shop ({file} is not there); make one: ecomine simulate.")
    known = {field.name for field in fields(SimulationParams)}
    settings: dict[str, Any] = {k: v for k, v in json.loads(file.read_text())["settings"].items() if k in known}
    settings["start"] = datetime.fromisoformat(settings["start"])
    params = SimulationParams(**settings)
    goods = catalogue(params)
    units = oracle.base_demand(workspace / "truth").pivot(index="item_id", columns="location_id", values="units")
    units = units.reindex(np.arange(goods.items)).fillna(0.0)
    busiest = units.sum().idxmax()
    return Assortment(replace(params, locations=1), _always_on_sale(goods), units[busiest].to_numpy())


def _always_on_sale(goods: Catalogue) -> Catalogue:
    return replace(goods, launch_day=np.full(goods.items, -1), end_day=np.full(goods.items, NEVER))


def serve(goods: Catalogue, shelf: Stock, mean: np.ndarray, seed: int, day: int) -> tuple[np.ndarray, np.ndarray]:
    """A day's customers: units wanted, and units sold as far as `shelf.on_hand` (which falls) allowed; by item.

    `mean` are the units expected, which come in order lines of 1 + Poisson(extra units).
    """
    random = stream(seed, "customers", day)
    lines = random.poisson(mean / (1 + goods.extra_units))
    item = np.repeat(np.arange(goods.items), lines)
    units = demand.units(goods.extra_units[item], random)
    served = allocate(shelf, item, np.zeros(len(item), np.int64), np.arange(len(item)), units)
    wanted = np.bincount(item, units, goods.items).astype(np.int64)
    return wanted, np.bincount(item[served], units[served], goods.items).astype(np.int64)
