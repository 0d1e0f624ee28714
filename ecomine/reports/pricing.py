"""The page of pricing: suggested prices and what they bring, demand curves, elasticities, learning by acting."""

import altair as alt
import pandas as pd

from ecomine import layout
from ecomine.pricing.plots import BETWEEN, demand_curves
from ecomine.reports import charts, parts, shop
from ecomine.reports.material import Material
from ecomine.reports.page import Chart, Column, Figure, Page, Part, Section, Table

NAME = "pricing"
CHANGES, CURVES, ITEMS, CATEGORIES = 200, 5, 20, 20
"""Rows of the table of changes, items whose demand is drawn, items and categories whose elasticity is drawn."""

STEP = 0.02
"""Width of a bar of price changes."""

TOTALS = """SELECT count(*) AS items, count(*) FILTER (change > 0) AS raised, count(*) FILTER (change < 0) AS lowered,
    coalesce(sum(margin_change), 0)::DOUBLE AS money, coalesce(sum(units_change), 0)::DOUBLE AS units,
    coalesce(sum((price - unit_cost) * units), 0)::DOUBLE AS present, mode(objective) AS objective
FROM decisions"""


def page(material: Material) -> Page:
    """What to charge for each product."""
    text, found = material.text, material.decided(NAME, TOTALS)
    answer = text("pricing.no_decisions")
    sections: list[Section] = []
    if len(found) and int(found["items"][0]):
        one = found.iloc[0]
        changed, share = int(one["raised"] + one["lowered"]), float(one["money"]) / max(float(one["present"]), 1e-9)
        money = text("pricing.revenue" if one["objective"] == "revenue" else "pricing.margin")
        key = "pricing.answer" if changed else "pricing.answer_none"
        answer = text(key, changed=changed, items=int(one["items"]), gain=one["money"], share=share, money=money)
        sections += [_changes(material, one, money), _curves(material, money)]
    sections += [_elasticities(material), _forecasts(material), _learning(material)]
    sections += [parts.money_section(material, NAME), parts.gate_section(material, NAME)]
    sections += parts.explanation_section(material, NAME, {"demand": text("pricing.demand")})
    return Page(NAME, text("site.pricing"), text("pricing.question"), answer, [*sections, shop.lacking(material, NAME)])


def _changes(material: Material, one: pd.Series, money: str) -> Section:
    text, file = material.text, layout.DECISIONS.format(domain=NAME)
    figures: list[Part] = [
        Figure(text("pricing.items"), int(one["items"]), file, "count"),
        Figure(text("pricing.raised"), int(one["raised"]), file, "count"),
        Figure(text("pricing.lowered"), int(one["lowered"]), file, "count"),
        Figure(text("pricing.gain", money=money), float(one["money"]), file, "signed"),
        Figure(text("pricing.units_gain"), float(one["units"]), file, "signed"),
    ]
    steps = material.decided(
        NAME,
        f"""SELECT round(floor(change / {STEP} + 0.5) * {STEP}, 4) AS change, count(*) AS items,
            sum(margin_change)::DOUBLE AS money FROM decisions WHERE change <> 0 GROUP BY 1 ORDER BY 1""",
    )
    rules = material.decided(
        NAME,
        """SELECT binding_rule AS rule, count(*) AS items FROM decisions WHERE binding_rule <> 'none' GROUP BY 1
            ORDER BY 2 DESC, 1""",
    )
    if len(steps):
        up = charts.y("items", text("pricing.items"), "count")
        across = alt.X("change:O", title=text("pricing.change"), axis=alt.Axis(format="+.0%", labelAngle=0))
        told = charts.tips(change=(text("pricing.change"), "share"), items=(text("pricing.items"), "count"),
                           money=(text("pricing.gain", money=money), "signed"))  # fmt: skip
        drawn = alt.Chart(steps).mark_bar().encode(x=across, y=up, tooltip=told)
        most = steps.loc[steps["items"].idxmax()]
        described = text("pricing.changes_described", change=most["change"], items=int(most["items"]))
        columns = {
            "change": Column(text("pricing.change"), "share"),
            "items": Column(text("pricing.items"), "count"),
            "money": Column(text("pricing.gain", money=money), "signed"),
        }
        figures.append(Chart("pricing-changes", text("pricing.changes_chart"), described, drawn, steps, columns))
    if len(rules):
        held = charts.bars(rules, "rule", text("pricing.rule"), charts.x("items", text("pricing.items"), "count"))
        told_rules = text("pricing.rules_described", rule=rules["rule"][0], items=int(rules["items"][0]))
        columns = {"rule": Column(text("pricing.rule"), "english"), "items": Column(text("pricing.items"), "count")}
        figures.append(Chart("pricing-rules", text("pricing.rules_chart"), told_rules, held, rules, columns))
    table = material.decided(
        NAME,
        f"""SELECT item_id, price, suggested_price, change, elasticity, units, units_change, margin_change, reason
        FROM decisions WHERE change <> 0 ORDER BY margin_change DESC, item_id LIMIT {CHANGES}""",
    )
    columns = {
        "item_id": Column(text("pricing.item")), "title": Column(text("pricing.title")),
        "price": Column(text("pricing.present"), "money"),
        "suggested_price": Column(text("pricing.suggested"), "money"),
        "change": Column(text("pricing.change"), "share"), "margin_change": Column(money, "signed"),
        "units_change": Column(text("pricing.units_change"), "signed"), "reason": Column(text("site.why"), "english"),
    }  # fmt: skip
    table = table.assign(title=shop.titles(material, table["item_id"]))
    said = text("pricing.table_text", shown=len(table), changed=int(one["raised"] + one["lowered"]))
    figures.append(Table("pricing-decisions", text("pricing.table"), table, columns, text=said))
    return Section(text("pricing.changes"), text("pricing.changes_text", money=money), figures)


def _curves(material: Material, money: str) -> Section:
    """Profit by price of some items, with today's price and the suggested one."""
    text = material.text
    worth = material.decided(
        NAME,
        f"""SELECT * FROM decisions ORDER BY CASE WHEN change <> 0 THEN margin_change ELSE -1e300 END DESC,
            (price - unit_cost) * units DESC, item_id LIMIT {CURVES}""",
    )
    curve, drawn = demand_curves(worth, CURVES), []
    titles = dict(zip(worth["item_id"], shop.titles(material, worth["item_id"]), strict=True))
    columns = {
        "price": Column(text("pricing.price"), "money"), "mark": Column(text("pricing.mark")),
        "units": Column(text("pricing.units"), "count"), "units_low": Column(text("site.low"), "count"),
        "units_high": Column(text("site.high"), "count"), "profit": Column(money, "money"),
        "profit_low": Column(text("site.low"), "money"), "profit_high": Column(text("site.high"), "money"),
    }  # fmt: skip
    for place, one in curve.groupby("place"):
        item = one["item_id"].iloc[0]
        one = one.assign(mark=[text(f"pricing.mark.{mark}") if mark else "" for mark in one["mark"].fillna(BETWEEN)])
        marked = one[one["mark"] != ""]
        name = f"{titles[item]} ({item})" if titles[item] else str(item)
        now = marked[marked["mark"] == text("pricing.mark.present")].iloc[0]
        then = marked[marked["mark"] == text("pricing.mark.suggested")]
        then = then.iloc[0] if len(then) else now
        described = text(
            "pricing.curve_described" if then is not now else "pricing.curve_kept", price=now["price"],
            profit=now["profit"], suggested=then["price"], then=then["profit"], low=then["profit_low"],
            high=then["profit_high"], money=money,
        )  # fmt: skip
        for kind, label in (("profit", money), ("units", text("pricing.units"))):
            if kind == "units" and place > 1:
                continue
            drawn.append(
                Chart(
                    f"pricing-{kind}-{place}", text(f"pricing.curve_{kind}", item=name, money=money),
                    described if kind == "profit" else text("pricing.units_described", price=now["price"],
                    units=now["units"], suggested=then["price"], then=then["units"]),
                    _curve(material, one, marked, kind, label), one, columns,
                )
            )  # fmt: skip
    return Section(text("pricing.curves"), text("pricing.curves_text"), drawn)


def _curve(
    material: Material, one: pd.DataFrame, marked: pd.DataFrame, kind: str, label: str
) -> alt.LayerChart | alt.FacetChart:
    form = "money" if kind == "profit" else "count"
    across = charts.x("price", material.text("pricing.price"), "money", scale=alt.Scale(zero=False))
    base = alt.Chart(one)
    band = base.mark_area(opacity=0.2).encode(
        x=across, y=charts.y(f"{kind}_low", label, form), y2=alt.Y2(f"{kind}_high")
    )
    line = base.mark_line().encode(x=across, y=charts.y(kind, label, form))
    dots = alt.Chart(marked).encode(x=across, y=charts.y(kind, label, form))
    tips = charts.tips(
        mark=(material.text("pricing.mark"), "text"), price=(material.text("pricing.price"), "money"),
        **{kind: (label, form), f"{kind}_low": ("↓", form), f"{kind}_high": ("↑", form)},
    )  # fmt: skip
    points = dots.mark_point(size=90, opacity=1).encode(
        color=alt.Color("mark:N", title=None, scale=alt.Scale(range=[charts.INK, charts.HUES[1]])), tooltip=tips
    )
    return alt.layer(band, line, points)


def _elasticities(material: Material) -> Section:
    text, told = material.text, material.plot(NAME, "elasticities")
    if told.empty:
        return Section(text("pricing.elasticities"))
    told = told.assign(item_id=told["item_id"].astype(str))
    best = told.sort_values(["units", "item_id"], ascending=[False, True]).head(ITEMS)
    names = shop.titles(material, best["item_id"])
    best = best.assign(name=[f"{name} ({item})" if name else item for name, item in zip(names, best["item_id"],
                                                                                        strict=True)])  # fmt: skip
    weight = told["units"].clip(lower=1e-9)
    sums = told.assign(**{name: told[name] * weight for name in ("elasticity", "low", "high")}, weight=weight, items=1)
    kinds = sums.groupby("category", as_index=False)[["elasticity", "low", "high", "weight", "items"]].sum()
    kinds = kinds.assign(**{name: kinds[name] / kinds["weight"] for name in ("elasticity", "low", "high")})
    kinds = kinds.sort_values(["weight", "category"], ascending=[False, True]).head(CATEGORIES)
    kinds = kinds.assign(category=kinds["category"].str.split(" > ").str[-1])
    columns = {
        "elasticity": Column(text("pricing.elasticity"), "ratio"), "low": Column(text("site.low"), "ratio"),
        "high": Column(text("site.high"), "ratio"),
    }  # fmt: skip
    own = int((told["source"] == "item").sum())
    made: list[Part] = [
        Chart(
            f"pricing-elasticity-{name}", text(f"pricing.elasticity_{name}"),
            text("pricing.elasticity_described", name=frame[label].iloc[0], value=frame["elasticity"].iloc[0],
                 low=frame["low"].iloc[0], high=frame["high"].iloc[0]),
            charts.intervals(frame, label, "", "elasticity", "low", "high", text("pricing.elasticity"), "ratio"),
            frame, {label: Column(text("pricing.item_name" if name == "item" else "pricing.category")), **columns},
        )
        for name, frame, label in (("item", best, "name"), ("category", kinds, "category"))
    ]  # fmt: skip
    return Section(text("pricing.elasticities"), text("pricing.elasticities_text", own=own, items=len(told)), made)


def _forecasts(material: Material) -> Section:
    text, weeks = material.text, material.plot(NAME, "weeks")
    columns = {
        name: Column(text(f"pricing.metric.{name}"), form)
        for name, form in (("wape", "share"), ("total", "ratio"), ("gain", "share"), ("gain_low", "share"),
                           ("gain_high", "share"), ("prices_changed", "share"), ("costs_known", "share"))
    }  # fmt: skip
    made: list[Part] = [parts.metrics_table(material, NAME, text("pricing.metrics"), columns)]
    if len(weeks):
        called = {"units": text("pricing.sold")} | {
            name: material.method(NAME, name) for name in ("model", "log_log", "recent_weeks")
        }
        rows = weeks.assign(week=range(1, len(weeks) + 1)).melt("week", list(called), "method", "told")
        rows = rows.assign(method=rows["method"].map(called))
        drawn = charts.lines(
            rows, charts.x("week", text("pricing.week"), "count", scale=alt.Scale(nice=False)),
            charts.y("told", text("pricing.units_week"), "count", scale=alt.Scale(zero=False)), "method",
            text("site.method"), list(called.values()),
        )  # fmt: skip
        ratio = float(weeks["model"].sum() / max(weeks["units"].sum(), 1e-9))
        told = {"week": Column(text("pricing.week"), "count")} | {
            name: Column(label, "count") for name, label in called.items()
        }
        frame = weeks.assign(week=range(1, len(weeks) + 1))
        described = text("pricing.weeks_described", ratio=ratio)
        made.insert(0, Chart("pricing-weeks", text("pricing.weeks_chart"), described, drawn, frame, told))
    return Section(text("pricing.forecasts"), text("pricing.forecasts_text"), made)


def _learning(material: Material) -> Section:
    """How soon learners would find the best prices if demand is as it was fitted."""
    text, told = material.text, material.plot(NAME, "learning")
    if told.empty:
        return Section(text("pricing.learning"))
    rows = told.assign(name=[material.method(NAME, name) for name in told["method"]])
    drawn = charts.lines(
        rows, charts.x("week", text("pricing.week"), "count"),
        charts.y("share", text("pricing.share"), "share", scale=alt.Scale(zero=False)), "name", text("site.method"),
    )  # fmt: skip
    last = rows[rows["week"] == rows["week"].max()].sort_values("share", ascending=False)
    wide = rows.pivot(index="week", columns="name", values="share").reset_index()
    columns = {"week": Column(text("pricing.week"), "count")} | {
        name: Column(name, "share") for name in wide.columns if name != "week"
    }
    first, present = last.iloc[0], float(rows.loc[rows["method"] == "present", "share"].iloc[0])
    weeks = int(first["week"])
    described = text(
        "pricing.learning_described", name=first["name"], share=first["share"], weeks=weeks, present=present
    )
    chart = Chart("pricing-learning", text("pricing.learning_chart"), described, drawn, wide, columns)
    return Section(text("pricing.learning"), text("pricing.learning_text"), [chart])
