"""What the shop sells: a tree of categories, brands, titles, costs, lives, and how each product's demand responds.

All is drawn once, from the seed and the number of items, as arrays with one entry an item.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ecomine.params import SimulationParams
from ecomine.simulation import names
from ecomine.simulation.randomness import stream

TASTES = 8
"""Dimensions of the space in which people and products meet."""

NEVER = 2**30
LEAF_SPREAD = 1.8
"""Standard deviation of the log of how much categories are wanted."""

APPEAL_SPREAD = 1.6
"""Standard deviation of products' appeal."""


@dataclass(frozen=True)
class Catalogue:
    """Arrays by item (`leaf` … `lead_days`) and by leaf category (`department` … `leaf_weight`).

    Money is of one unit. `elasticity` is the share by which demand falls when the own price rises by one per cent;
    `cross` the share by which it rises when all other products of the category become dearer by one per cent;
    `complementary` the share by which it falls when its complement does; `rival` the same for the cheapest rival.
    """

    leaf: np.ndarray
    brand: np.ndarray
    reference_price: np.ndarray
    cost: np.ndarray
    elasticity: np.ndarray
    cross: np.ndarray
    complement: np.ndarray
    complementary: np.ndarray
    rival: np.ndarray
    taste: np.ndarray
    appeal: np.ndarray
    guess: np.ndarray
    launch_day: np.ndarray
    end_day: np.ndarray
    gap_days: np.ndarray
    extra_units: np.ndarray
    lead_days: np.ndarray
    department: np.ndarray
    leaf_path: tuple[str, ...]
    leaf_name: tuple[str, ...]
    leaf_weight: np.ndarray
    leaf_taste: np.ndarray
    adjective: np.ndarray
    size: np.ndarray

    @property
    def items(self) -> int:
        return len(self.leaf)

    @property
    def leaves(self) -> int:
        return len(self.leaf_weight)

    @cached_property
    def item_department(self) -> np.ndarray:
        return self.department[self.leaf]

    def live(self, day: int) -> np.ndarray:
        """Which items are on sale."""
        return (self.launch_day <= day) & (day < self.end_day)

    def titles(self, item: np.ndarray) -> list[str]:
        return [
            f"{names.brand(self.brand[i])} {names.ADJECTIVES[self.adjective[i]]} "
            f"{self.leaf_name[self.leaf[i]]}, {names.SIZES[self.size[i]]}"
            for i in item
        ]

    def categories(self, item: np.ndarray) -> list[str]:
        return [f"{self.leaf_path[leaf]} > {self.leaf_name[leaf].capitalize()}" for leaf in self.leaf[item]]


def catalogue(params: SimulationParams) -> Catalogue:
    """The catalogue of a shop."""
    random = stream(params.seed, "catalogue")
    items = params.items
    leaves = int(np.clip(items // 16, min(6, items), names.MOST_KINDS))
    kinds = names.kinds(leaves)
    department = np.array([number for number, _, _ in kinds])
    leaf_weight = np.exp(LEAF_SPREAD * random.normal(0, 1.0, leaves))
    # Every category has a product; the rest crowd into some more than into others.
    crowd = np.exp(random.normal(0, 0.5, leaves))
    leaf = np.concatenate([np.arange(leaves), random.choice(leaves, items - leaves, p=crowd / crowd.sum())])
    brands = max(4, items // 12)
    brand = (leaf * 7 + random.integers(0, max(2, brands // 3), items)) % brands
    elasticity = np.clip(
        1.9 + random.normal(0, 0.25, len(names.DEPARTMENTS))[department[leaf]] + random.normal(0, 0.25, items), 1.3, 2.8
    )
    typical = np.array(names.TYPICAL_PRICE)[department[leaf]]
    reference_price = np.round(np.maximum(typical * np.exp(random.normal(0, 0.5, items)), 0.5), 2)
    # Shops price near the optimum, e / (e - 1) times the cost, but not at it.
    markup = np.clip(elasticity / (elasticity - 1) * np.exp(random.normal(0, 0.15, items)), 1.15, 3.2)
    leaf_taste = random.normal(0, 1, (leaves, TASTES)).astype(np.float32)
    taste = leaf_taste[leaf] + random.normal(0, 0.7, (items, TASTES)).astype(np.float32)
    appeal = (APPEAL_SPREAD * random.normal(0, 1.0, items)).astype(np.float32)
    early = random.random(items) < 0.85
    launch_day = np.where(
        early, -1 - random.integers(0, 900, items), np.ceil(random.exponential(250, items)).astype(int)
    )
    launch_day[:leaves] = np.minimum(launch_day[:leaves], -1)
    end_day = np.maximum(launch_day, 0) + 60 + np.ceil(random.exponential(900, items)).astype(int)
    end_day[:leaves] = NEVER
    gap = np.array(names.REPLENISHMENT_DAYS)[department[leaf]] * np.exp(random.normal(0, 0.3, items))
    partner = (np.arange(leaves) + leaves // 2) % leaves
    return Catalogue(
        leaf=leaf,
        brand=brand,
        reference_price=reference_price,
        cost=np.maximum(np.round(reference_price / markup, 2), 0.05),
        elasticity=elasticity,
        cross=random.uniform(0.1, 0.6, items),
        # The founding product of a category elsewhere in the tree.
        complement=partner[leaf],
        complementary=random.uniform(0.05, 0.3, items),
        rival=random.uniform(0.1, 0.5, items),
        taste=taste.astype(np.float32),
        appeal=appeal,
        guess=np.exp(appeal + random.normal(0, 0.8, items)) * leaf_weight[leaf],
        launch_day=launch_day,
        end_day=end_day,
        gap_days=gap,
        extra_units=random.gamma(1.0, 0.3, items),
        lead_days=random.integers(2, 13, items),
        department=department,
        leaf_path=tuple(path for _, path, _ in kinds),
        leaf_name=tuple(name for _, _, name in kinds),
        leaf_weight=leaf_weight,
        leaf_taste=leaf_taste,
        adjective=random.integers(0, len(names.ADJECTIVES), items),
        size=random.integers(0, len(names.SIZES), items),
    )


@dataclass(frozen=True)
class Shelves:
    """The items on sale, category by category, in the order in which the shop shows them.

    `item[start[leaf] : start[leaf] + count[leaf]]` are those of a category, first shown first.
    """

    item: np.ndarray
    start: np.ndarray
    count: np.ndarray


def shelves(goods: Catalogue, live: np.ndarray, score: np.ndarray) -> Shelves:
    """Shelves sorted by falling `score` (one entry an item), ties by item."""
    on_sale = np.flatnonzero(live)
    order = np.lexsort((on_sale, -score[on_sale], goods.leaf[on_sale]))
    count = np.bincount(goods.leaf[on_sale], minlength=goods.leaves)
    return Shelves(on_sale[order], np.cumsum(count) - count, count)
