"""What several pages of a shop tell: names of products, and what could not be told for want of a table."""

import pandas as pd

from ecomine import layout
from ecomine.domains import DOMAINS
from ecomine.reports.material import Material
from ecomine.reports.page import Section, Sentences

ITEMS = f"{layout.CLEAN}/items.parquet"
LONGEST = 48
"""Characters of a name that are shown."""


def titles(material: Material, items: pd.Series) -> list[str]:
    """The name of each item, or the last level of its category; "" where the shop tells neither."""
    if not len(items) or not material.context.store.exists(ITEMS):
        return [""] * len(items)
    there = set(material.query("DESCRIBE SELECT * FROM goods", goods=ITEMS)["column_name"])
    named = [f"nullif(trim({name}::VARCHAR), '')" for name in ("title", "category") if name in there]
    if not named:
        return [""] * len(items)
    wanted = ", ".join("'" + str(item).replace("'", "''") + "'" for item in sorted(set(items.astype(str))))
    found = material.query(
        f"""SELECT item_id::VARCHAR AS item_id, min(coalesce({", ".join(named)}, '')) AS title FROM goods
        WHERE item_id::VARCHAR IN ({wanted}) GROUP BY 1 ORDER BY 1""",
        goods=ITEMS,
    )
    called = dict(zip(found["item_id"], found["title"].str.split(" > ").str[-1].str.slice(0, LONGEST), strict=True))
    return [called.get(item, "") for item in items.astype(str)]


def lacking(material: Material, domain: str) -> Section:
    """What the domain did without, since the shop has no such table; empty where it has all."""
    there = material.context.store.tables(layout.CLEAN)
    text = material.text
    missing = [name for name in DOMAINS[domain].improves if name not in there]
    told = [material.or_text(f"{domain}.without.{name}", text("shop.without", table=name)) for name in missing]
    return Section(text("shop.lacking"), text("shop.lacking_text") if told else "", [Sentences(told)] if told else [])
