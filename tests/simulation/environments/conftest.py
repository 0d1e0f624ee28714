"""Assortments whose answers can be worked out by hand."""

from dataclasses import fields, replace

import numpy as np

from ecomine.simulation.catalogue import Catalogue
from ecomine.simulation.environments.assortment import Assortment, assortment

BY_CATEGORY = {"department", "leaf_weight", "leaf_taste", "leaf_path", "leaf_name", "complement", "leaf"}


def alike(items: int, units: float, **values: float) -> Assortment:
    """`items` equal products that touch neither each other nor a rival; `values` replace fields of the catalogue."""
    shop = assortment(items)
    goods: Catalogue = shop.goods
    same = {
        field.name: np.repeat(getattr(goods, field.name)[:1], items, axis=0)
        for field in fields(goods)
        if field.name not in BY_CATEGORY
    }
    nothing = {name: np.zeros(items) for name in ("cross", "complementary", "rival")}
    given = {name: np.full(items, value) for name, value in values.items()}
    one_department = {"department": np.zeros(goods.leaves, int)}
    goods = replace(goods, **{**same, **nothing, **given, **one_department})
    return Assortment(replace(shop.params, promotion_share=0.0, price_test_share=0.0), goods, np.full(items, units))
