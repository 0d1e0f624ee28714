"""The page of inventory: what runs out and what to order, forecasts as fans, what a higher service costs."""

import altair as alt
import pandas as pd

from ecomine import layout
from ecomine.inventory.alerts import DEAD, STOCK_OUT
from ecomine.reports import charts, parts, shop
from ecomine.reports.material import Material
from ecomine.reports.page import Chart, Column, Figure, Page, Part, Section, Table

NAME = "inventory"
SHOWN, FANS, AHEAD = 200, 5, 28
"""Rows of a table, series whose forecast is drawn beside the total, days for which stock-outs are counted."""

KINDS = {STOCK_OUT: "coming", DEAD: "lying"}

TOTALS = """SELECT count(*) AS series, count(*) FILTER (order_now > 0) AS orders,
    coalesce(sum(cost), 0)::DOUBLE AS money, coalesce(sum(order_now), 0)::DOUBLE AS units,
    count(*) FILTER (about_to_run_out) AS out, count(*) FILTER (stock_to_clear) AS dead,
    count(*) FILTER (stock_known) AS known FROM decisions"""


def page(material: Material) -> Page:
    """What to order for each item and place, and when."""
    text, found = material.text, material.decided(NAME, TOTALS)
    answer, sections = text("inventory.no_decisions"), []
    if len(found) and int(found["series"][0]):
        one = {name: found[name][0] for name in found.columns}
        one |= {"fill": material.metrics(NAME).get("model", {}).get("fill_rate", float("nan"))}
        key = "inventory.answer" if one["known"] else "inventory.answer_blind"
        answer = text(key, **{name: value if name in ("money", "fill") else int(value) for name, value in one.items()})
        sections.append(_orders(material, one) if one["known"] else _levels(material, one))
    sections += [_fans(material), _frontier(material), _course(material)]
    sections += [parts.money_section(material, NAME), parts.gate_section(material, NAME)]
    sections += parts.explanation_section(material, NAME, {"demand": text("inventory.demand")})
    title = text("site.inventory")
    return Page(NAME, title, text("inventory.question"), answer, [*sections, shop.lacking(material, NAME)])


def _columns(material: Material, *names: str) -> dict[str, Column]:
    forms = {
        "price": "money", "cost": "money", "alert_money": "money", "cover_days": "number", "reason": "english",
        "stock_out_date": "text", "item_id": "text", "title": "text", "location_id": "text", "alert": "text",
    }  # fmt: skip
    return {name: Column(material.text(f"inventory.{name}"), forms.get(name, "count")) for name in names}


def _orders(material: Material, one: dict[str, object]) -> Section:
    """What is to be ordered, what will run out and what lies, most money first."""
    text, file = material.text, layout.DECISIONS.format(domain=NAME)
    made: list[Part] = [
        Figure(text(f"inventory.figure.{name}"), float(one[name]), file, "money" if name == "money" else "count")  # type: ignore[arg-type]
        for name in ("series", "orders", "units", "money", "out", "dead")
    ]
    days = material.decided(
        NAME,
        f"""WITH known AS (SELECT try_cast(stock_out_date AS DATE) AS day, about_to_run_out FROM decisions
            WHERE stock_known)
        SELECT day::VARCHAR AS day, count(*) AS series, count(*) FILTER (about_to_run_out) AS out FROM known
        WHERE day IS NOT NULL AND day < (SELECT min(day) FROM known) + {AHEAD} GROUP BY 1 ORDER BY 1""",
    )
    if len(days):
        kinds = {"out": text("inventory.before_delivery"), "rest": text("inventory.after_delivery")}
        rows = days.assign(rest=days["series"] - days["out"]).melt("day", list(kinds), "kind", "count")
        rows = rows.assign(kind=rows["kind"].map(kinds))
        drawn = (
            alt.Chart(rows)
            .mark_bar()
            .encode(
                x=alt.X("yearmonthdate(day):T", title=text("inventory.stock_out_date"), axis=alt.Axis(format="%d %b")),
                y=charts.y("count", text("inventory.figure.series"), "count"),
                color=alt.Color("kind:N", title=None, sort=list(kinds.values()),
                                scale=alt.Scale(range=[charts.HUES[1], charts.HUES[0]])),
                tooltip=[alt.Tooltip("day:T", title=text("inventory.stock_out_date")),
                         *charts.tips(kind=(text("inventory.reason"), "text"),
                                      count=(text("inventory.figure.series"), "count"))],
            )
        )  # fmt: skip
        soon = int(days["series"].sum())
        described = text("inventory.stock_outs_described", series=soon, days=AHEAD, out=int(days["out"].sum()))
        columns = {"day": Column(text("inventory.stock_out_date")),
                   "series": Column(text("inventory.figure.series"), "count"),
                   "out": Column(kinds["out"], "count")}  # fmt: skip
        made.append(Chart("inventory-stock-outs", text("inventory.stock_outs_chart"), described, drawn, days, columns))
    alerts = material.decided(
        NAME,
        f"""SELECT item_id, location_id, alert, alert_units, alert_money, on_hand, on_order, cover_days, stock_out_date,
            reason FROM decisions WHERE alert <> '' ORDER BY alert_money DESC, item_id, location_id LIMIT {SHOWN}""",
    )
    orders = material.decided(
        NAME,
        f"""SELECT item_id, location_id, order_now, cost, on_hand, on_order, stock_out_date, reason FROM decisions
            WHERE order_now > 0 ORDER BY cost DESC, item_id, location_id LIMIT {SHOWN}""",
    )
    alerts = alerts.assign(alert=[text(f"inventory.{KINDS[alert]}") for alert in alerts["alert"]])
    for name, frame, shown in (
        ("alerts", alerts, ("alert", "alert_units", "alert_money", "on_hand", "stock_out_date")),
        ("orders", orders, ("order_now", "cost", "on_hand", "on_order", "stock_out_date", "reason")),
    ):
        named = frame.assign(title=shop.titles(material, frame["item_id"]))
        columns = _columns(material, "item_id", "title", "location_id", *shown)
        made.append(Table(f"inventory-{name}", text(f"inventory.table.{name}"), named, columns))
    return Section(text("inventory.orders"), text("inventory.orders_text"), made)


def _levels(material: Material, one: dict[str, object]) -> Section:
    """Levels to keep, where nobody records the stock."""
    text, file = material.text, layout.DECISIONS.format(domain=NAME)
    rows = material.decided(
        NAME,
        f"""SELECT item_id, location_id, reorder_point, order_up_to, order_quantity, mean, lead_days FROM decisions
            ORDER BY mean DESC, item_id, location_id LIMIT {SHOWN}""",
    )
    rows = rows.assign(title=shop.titles(material, rows["item_id"]))
    columns = _columns(
        material, "item_id", "title", "location_id", "mean", "reorder_point", "order_up_to", "order_quantity",
        "lead_days",
    )  # fmt: skip
    figure = Figure(text("inventory.figure.series"), float(one["series"]), file, "count")  # type: ignore[arg-type]
    table = Table("inventory-levels", text("inventory.table.levels"), rows, columns)
    return Section(text("inventory.levels"), text("inventory.levels_text"), [figure, table])


def _fans(material: Material) -> Section:
    """Forecasts with their quantiles beside what came, over the test days."""
    text, told = material.text, material.plot(NAME, "fan")
    if told.empty:
        return Section(text("inventory.fans"))
    told = told.assign(item_id=told["item_id"].astype(str), location_id=told["location_id"].astype(str))
    made: list[Part] = []
    columns = {
        "date": Column(text("inventory.date")), "units": Column(text("inventory.wanted"), "count"),
        "mean": Column(text("inventory.told"), "count"), "q0.05": Column("5%", "count"),
        "q0.5": Column("50%", "count"), "q0.95": Column("95%", "count"),
    }  # fmt: skip
    for place, one in told[told["place"] <= FANS].groupby("place"):
        item, where = one["item_id"].iloc[0], one["location_id"].iloc[0]
        title = text("inventory.all_series")
        if place:
            called = shop.titles(material, pd.Series([item]))[0]
            title = f"{called} ({item})" if called else item
            title += "" if where == "all" else text("inventory.at", place=where)
        held = float(((one["units"] >= one["q0.05"]) & (one["units"] <= one["q0.95"])).mean())
        ratio = float(one["mean"].sum() / max(one["units"].sum(), 1e-9))
        described = text("inventory.fan_described", held=held, ratio=ratio)
        chart = Chart(f"inventory-fan-{place}", title, described, _fan(material, one), one, columns)
        made.append(chart)
    return Section(text("inventory.fans"), text("inventory.fans_text"), made)


def _fan(material: Material, one: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    text = material.text
    rows = one.rename(columns={f"q{level}": f"q{str(level).replace('.', '_')}" for level in (0.05, 0.25, 0.75, 0.95)})
    across = alt.X("date:T", title=text("inventory.date"), axis=alt.Axis(format="%d %b", tickCount=6))
    units = text("inventory.units")
    base = alt.Chart(rows[["date", "units", "mean", "q0_05", "q0_25", "q0_75", "q0_95"]]).encode(x=across)
    bands = [
        base.mark_area(opacity=0.18, color=charts.ACCENT).encode(
            y=charts.y(low, units, "count"), y2=alt.Y2(high)
        )
        for low, high in (("q0_05", "q0_95"), ("q0_25", "q0_75"))
    ]  # fmt: skip
    line = base.mark_line(color=charts.ACCENT).encode(y=charts.y("mean", units, "count"))
    numbers = charts.tips(
        units=(text("inventory.wanted"), "count"), mean=(text("inventory.told"), "count"),
        q0_05=("5%", "count"), q0_95=("95%", "count"),
    )  # fmt: skip
    tips = [alt.Tooltip("date:T", title=text("inventory.date")), *numbers]
    dots = base.mark_point(color=charts.INK, size=18, opacity=0.85).encode(
        y=charts.y("units", units, "count"), tooltip=tips
    )
    return alt.layer(*bands, line, dots)


def _frontier(material: Material) -> Section:
    """Money a day against the share of demand met, by rule."""
    text, told = material.text, material.plot(NAME, "frontier")
    if told.empty:
        return Section(text("inventory.frontier"))
    rows = told.assign(name=[material.method(NAME, f"frontier_{name}") for name in told["method"]])
    rows = rows.sort_values(["method", "fill_rate"])
    across = charts.x("fill_rate", text("inventory.fill_rate"), "share", scale=alt.Scale(zero=False))
    up = charts.y("cost", text("inventory.cost_day"), "money", scale=alt.Scale(zero=False))
    tips = charts.tips(
        name=(text("site.method"), "text"), setting=(text("inventory.setting"), "number"),
        fill_rate=(text("inventory.fill_rate"), "share"), cost=(text("inventory.cost_day"), "money"),
    )  # fmt: skip
    colour = alt.Color("name:N", title=text("site.method"))
    base = alt.Chart(rows).encode(x=across, y=up, color=colour, tooltip=tips)
    points = base.mark_point(size=60, opacity=1).encode(shape=alt.Shape("name:N", legend=None))
    drawn = alt.layer(base.mark_line().encode(order="fill_rate:Q"), points)
    best = rows.loc[rows["cost"].idxmin()]
    chosen = rows[rows["method"] == "chosen"].iloc[0]
    same = best["method"] == chosen["method"]
    described = text(
        "inventory.frontier_same" if same else "inventory.frontier_described", name=best["name"], cost=best["cost"],
        fill=best["fill_rate"], chosen=chosen["cost"], chosen_fill=chosen["fill_rate"],
    )  # fmt: skip
    columns = {
        "name": Column(text("site.method")), "setting": Column(text("inventory.setting"), "number"),
        "fill_rate": Column(text("inventory.fill_rate"), "share"),
        "cost": Column(text("inventory.cost_day"), "money"),
        "holding_cost": Column(text("inventory.metric.holding_cost"), "money"),
        "lost_cost": Column(text("inventory.metric.lost_cost"), "money"),
    }  # fmt: skip
    chart = Chart("inventory-frontier", text("inventory.frontier_chart"), described, drawn, rows, columns)
    return Section(text("inventory.frontier"), text("inventory.frontier_text"), [chart])


def _course(material: Material) -> Section:
    """What the rules would have held day by day, and their figures."""
    text, days = material.text, material.plot(NAME, "days")
    columns = {
        name: Column(text(f"inventory.metric.{name}"), form)
        for name, form in (
            ("fill_rate", "share"), ("cost", "money"), ("holding_cost", "money"), ("ordering_cost", "money"),
            ("lost_cost", "money"), ("stock_out_share", "share"), ("turns", "ratio"), ("wape", "share"),
            ("coverage", "share"),
        )
    }  # fmt: skip
    made: list[Part] = [parts.metrics_table(material, NAME, text("inventory.metrics"), columns)]
    if len(days):
        rows = days.assign(name=[material.method(NAME, name) for name in days["method"]])
        up, across = charts.y("held", text("inventory.held"), "count"), charts.x("day", text("inventory.day"), "count")
        colour = alt.Color("name:N", title=text("site.method"))
        tips = charts.tips(name=(text("site.method"), "text"), day=(text("inventory.day"), "count"),
                           held=(text("inventory.held"), "count"))  # fmt: skip
        drawn = alt.Chart(rows[["day", "held", "name"]]).mark_line().encode(x=across, y=up, color=colour, tooltip=tips)
        mean = rows.groupby("name")["held"].mean()
        model = material.method(NAME, "model")
        rival = material.method(NAME, "moving_average")
        described = text("inventory.held_described", model=float(mean.get(model, 0)), rival=float(mean.get(rival, 0)))
        wide = rows.pivot(index="day", columns="name", values="held").reset_index()
        shown = {"day": Column(text("inventory.day"), "count")} | {
            name: Column(name, "count") for name in wide.columns if name != "day"
        }
        made.insert(0, Chart("inventory-held", text("inventory.held_chart"), described, drawn, wide, shown))
    return Section(text("inventory.course"), text("inventory.course_text"), made)
