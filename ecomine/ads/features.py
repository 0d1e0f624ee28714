"""Labelled rows: contacts made or held back, as known before their campaign began, and what came of them.

Features of a contact are taken at the start of its campaign: who is held back from a campaign is held back from all of
it, and what people buy while it runs would betray that. What came of a contact is known when its campaign has ended.
"""

from datetime import timedelta

import pandas as pd

from ecomine.ads.params import AdsParams
from ecomine.domain import EVENT_TIMESTAMP, LABEL, Inputs, Rows
from ecomine.errors import NotEnoughDataError

SERVICE = "ads"
NONE = "none"
"""In place of a campaign, a creative or an item where there is none."""

KIND, ELSEWHERE, COUPLED, COST = "kind", "elsewhere", "propensity", "cost"
OUTCOMES = ("treated", COUPLED, "money", COST)
"""Columns of labelled rows that no prediction may look at, beside the label."""

CAMPAIGNS = """
SELECT c.campaign_id, coalesce(c.kind, '{none}') AS kind, c.start_date, c.end_date, c.budget, c.cost_per_contact,
    c.item_id, {share} AS margin, {price} AS price
FROM campaigns c {join} ORDER BY c.campaign_id
"""

CONTACTS = """
SELECT a.impression_id, a.user_id, a.campaign_id, coalesce(a.creative_id, '{none}') AS creative_id,
    a.event_timestamp AS moment, c.start_date AS event_timestamp, c.end_date,
    coalesce(a.treated, true)::INTEGER::DOUBLE AS treated, a.propensity::DOUBLE AS propensity,
    a.converted::INTEGER::DOUBLE AS converted, a.clicked::INTEGER::DOUBLE AS clicked, coalesce(a.revenue, 0)::DOUBLE
    AS revenue, a.cost::DOUBLE AS cost, a.position IS NULL AS elsewhere
FROM contacts a JOIN campaigns c USING (campaign_id)
ORDER BY a.event_timestamp, a.impression_id
"""


def view(inputs: Inputs, name: str) -> list[str]:
    """Makes a table of the inputs visible to SQL as `ads_{name}`, and gives its columns; none where it is absent."""
    table = inputs.tables.get(name)
    if table is None:
        return []
    table.create_view(f"ads_{name}", replace=True)
    return list(table.columns)


def _whole(inputs: Inputs, name: str) -> str:
    """A table with all its canonical columns, null where the source lacks one, as SQL."""
    from ecomine.tables import TABLES

    there = view(inputs, name)
    columns = ", ".join(
        f'"{column.name}"' if column.name in there else f'CAST(NULL AS {column.sql_type}) AS "{column.name}"'
        for column in TABLES[name].columns
    )
    return f"(SELECT {columns} FROM ads_{name})"


def campaigns_of(inputs: Inputs) -> pd.DataFrame:
    """Every campaign that has begun: kind, dates, budget, cost, item; and margin (share) and price of it, if known."""
    share, price, join = "NULL::DOUBLE", "NULL::DOUBLE", ""
    of_item = "LEFT JOIN (SELECT item_id, {} FROM ads_{} GROUP BY item_id) {} USING (item_id)"
    if {"unit_price", "item_id"} <= set(view(inputs, "order_lines")):
        price = "p.price"
        join = of_item.format("median(unit_price) AS price", "order_lines", "p")
        if {"unit_cost", "item_id"} <= set(view(inputs, "items")):
            share = "CASE WHEN p.price > 0 AND g.unit_cost IS NOT NULL THEN greatest(1 - g.unit_cost / p.price, 0) END"
            join += " " + of_item.format("max(unit_cost) AS unit_cost", "items", "g")
    query = CAMPAIGNS.format(none=NONE, share=share, price=price, join=join)
    query = query.replace("FROM campaigns c", f"FROM {_whole(inputs, 'campaigns')} c")
    return inputs.connection.sql(query).df()


def contacts_of(inputs: Inputs) -> pd.DataFrame:
    """Every contact made or held back up to as_of, with the dates of its campaign, sorted by time."""
    query = CONTACTS.format(none=NONE)
    query = query.replace("FROM contacts a", f"FROM {_whole(inputs, 'ad_impressions')} a")
    query = query.replace("JOIN campaigns c", f"JOIN {_whole(inputs, 'campaigns')} c")
    return inputs.connection.sql(query).df()


def label(inputs: Inputs) -> Rows:
    """Rows user_id, campaign_id, event_timestamp (the campaign's start), kind, elsewhere, treated, propensity, money,
    cost, and label: whether the contact, made or held back, was followed by a purchase.

    Learnt from are campaigns that ended before the first of the test campaigns began; these began in the last
    `test_days`, and ended too. `money` is the margin that came. Raises NotEnoughDataError where one of both is missing.
    """
    params: AdsParams = inputs.params
    contacts = contacts_of(inputs)
    campaigns = campaigns_of(inputs)
    known = contacts["converted"].notna() & (contacts["end_date"].fillna(contacts["moment"]) <= inputs.as_of)
    rows = contacts[known].reset_index(drop=True)
    place = campaigns.set_index("campaign_id")
    share = rows["campaign_id"].map(place["margin"]).fillna(params.margin).to_numpy(float)
    rows = rows.assign(
        **{
            KIND: rows["campaign_id"].map(place[KIND]),
            ELSEWHERE: (rows["elsewhere"] & ~rows["elsewhere"].all()).astype(float),
            LABEL: rows["converted"],
            "money": rows["revenue"] * rows["converted"] * share,
        }
    )
    begin = inputs.as_of - timedelta(days=params.test_days)
    test = rows[EVENT_TIMESTAMP] >= begin
    first = rows.loc[test, EVENT_TIMESTAMP].min()
    train = (rows["end_date"].fillna(rows["moment"]) <= first) & (rows[EVENT_TIMESTAMP] < first)
    if not test.any() or rows.loc[train, LABEL].nunique() < 2:
        raise NotEnoughDataError(
            f"{int(train.sum()):,} contacts of campaigns that ended before those of the last {params.test_days} days "
            f"began, and {int(test.sum()):,} contacts of these; expected some of both, with and without a purchase. "
            "Bring a longer history, or change ads.test_days."
        )
    columns = ["impression_id", "user_id", "campaign_id", EVENT_TIMESTAMP, "moment", KIND, ELSEWHERE, *OUTCOMES, LABEL]
    parts = [rows.loc[part, columns].reset_index(drop=True) for part in (train, test)]
    truth = parts[1][["impression_id", "user_id", "campaign_id", KIND, *OUTCOMES, LABEL]].assign(
        propensity=parts[1][COUPLED].fillna(-1.0), cost=parts[1][COST].fillna(-1.0)
    )
    held = int((parts[0]["treated"] == 0).sum())
    note = (
        f"{held:,} of {len(parts[0]):,} contacts were held back; uplift is learnt if that was by chance"
        if held
        else "nobody was held back, so no uplift can be claimed: who answers is told, not what a contact changes"
    )
    return Rows(parts[0], parts[1].drop(columns=list(OUTCOMES)), truth, (note,))
