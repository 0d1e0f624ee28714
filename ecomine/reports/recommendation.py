"""The page of recommendation: how much of what people buy is on their lists, what the lists hold, and why."""

import numpy as np
import pandas as pd

from ecomine import layout
from ecomine.reports import charts, parts
from ecomine.reports.charts import alt, x, y
from ecomine.reports.material import Material
from ecomine.reports.page import Chart, Page, Part, Section, Table

NAME = "recommendation"
LISTS = 4
"""Customers whose lists are shown as examples."""

TOGETHER = 24
"""Products in the picture of what is bought together: those that are sold most."""

TOGETHER_DAYS = 90
TIES = 40
REASONS = ("bought", "together", "popular", "chance", "seen", "new", "other")


def page(material: Material) -> Page:
    """Metrics against baselines, coverage, examples of lists with reasons, what is bought together."""
    text = material.text
    sections = [
        _measures(material), parts.money_section(material, NAME), _kinds(material), _lists(material),
        _examples(material), _together(material),
        *parts.explanation_section(material, NAME, {"place": text("recommendation.place")}, people=True),
        _pages(material), parts.gate_section(material, NAME),
    ]  # fmt: skip
    title, question = text("site.recommendation"), text("recommendation.question")
    return Page(NAME, title, question, _answer(material), sections, parts.notices(material, NAME))


def _answer(material: Material) -> str:
    told = material.decided(NAME, "SELECT count(DISTINCT user_id) AS users, max(rank) AS longest FROM decisions")
    best, own = material.best_baseline(NAME), material.metrics(NAME).get("model", {})
    if told.empty or best is None:
        return material.text("site.nothing_deployed")
    gain, rival = material.worth(NAME, "model", best), material.worth(NAME, best)
    return material.text(
        "recommendation.answer", users=int(told["users"][0]), k=int(told["longest"][0]), hit=own.get("hit@10", 0.0),
        rival=material.metrics(NAME).get(best, {}).get("hit@10", 0.0), baseline=material.method(NAME, best),
        gain=gain.mean / rival.mean if rival.mean else 0.0,
    )  # fmt: skip


def _measures(material: Material) -> Section:
    text, column = material.text, material.column
    shown: list[Part] = [
        parts.metric(material, NAME, "model", name, text(f"recommendation.of.{name}"), form)
        for name, form in (("recall@10", "share"), ("hit@10", "share"), ("ndcg@10", "figure"), ("coverage@10", "share"))
    ]
    curve = material.plot(NAME, "recall")
    if not curve.empty:
        methods = [name for name in curve.columns if name != "k"]
        long = curve.melt("k", methods, "method", "recall")
        long = long.assign(method=[material.method(NAME, name) for name in long["method"]])
        columns = {
            "k": column("recommendation.k", "count"), "method": column("site.method"),
            "recall": column("recommendation.recall", "share"),
        }  # fmt: skip
        drawn = charts.lines(
            long, x("k", text("recommendation.k"), "count"),
            y("recall", text("recommendation.recall"), "share"), "method", text("site.method"),
            [material.method(NAME, name) for name in methods],
        )  # fmt: skip
        last = curve.iloc[-1]
        best = max(methods, key=lambda name: float(last[name]))
        described = text(
            "recommendation.curve_described", k=int(last["k"]), method=material.method(NAME, best), recall=last[best]
        )
        ends = long[long["k"].isin([1, 5, 10, int(last["k"])])]
        shown.append(Chart("recall", text("recommendation.curve"), described, drawn, ends, columns))
    scored = material.plot(NAME, "hits_by_score")
    if not scored.empty:
        columns = {
            "score": column("recommendation.score", "number"), "label": column("recommendation.bought", "share"),
            "rows": column("recommendation.candidates", "count"),
        }  # fmt: skip
        base = alt.Chart(scored).encode(
            x=x("score", text("recommendation.score")), y=y("label", text("recommendation.bought"), "share"),
            tooltip=charts.told(columns),
        )  # fmt: skip
        described = text("recommendation.scores_described", share=float(scored["label"].iloc[-1]))
        line = alt.layer(base.mark_line(), base.mark_point(size=36))
        shown.append(Chart("scores", text("recommendation.scores"), described, line, scored, columns))
    names = [f"{name}@{k}" for k in (10, 20) for name in ("recall", "precision", "ndcg", "mrr", "hit")]
    names += [f"{name}@10" for name in ("coverage", "diversity", "novelty")]
    named = {name: column(f"recommendation.metric.{name.split('@')[0]}", "figure") for name in names}
    headed = {name: type(one)(f"{one.label}@{name.split('@')[1]}", one.form) for name, one in named.items()}
    shown.append(parts.metrics_table(material, NAME, text("site.baselines"), headed))
    return Section(text("recommendation.measures"), text("recommendation.measures_text"), shown)


def _kinds(material: Material) -> Section:
    """Recall by kind of customer and of product."""
    text, column, frame = material.text, material.column, material.plot(NAME, "segments")
    if frame.empty:
        return Section(text("recommendation.kinds"))
    frame = frame.assign(
        segment=[text(f"recommendation.kind.{name}") for name in frame["segment"]],
        method=[material.method(NAME, name) for name in frame["method"]],
    )
    columns = {
        "segment": column("recommendation.kind"), "method": column("site.method"),
        "units": column("recommendation.customers", "count"), "recall": column("recommendation.recall", "share"),
        "hit": column("recommendation.metric.hit", "share"), "ndcg": column("recommendation.metric.ndcg", "figure"),
    }  # fmt: skip
    field = charts.heat(
        frame,
        "method",
        text("site.method"),
        "segment",
        text("recommendation.kind"),
        "recall",
        text("recommendation.recall"),
    )
    low = frame[frame["method"] == material.method(NAME, "model")].sort_values("recall", kind="stable")
    described = text("recommendation.kinds_described", kind=low.iloc[0]["segment"], recall=low.iloc[0]["recall"])
    chart = Chart("kinds", text("recommendation.kinds_chart"), described, field, frame, columns)
    return Section(text("recommendation.kinds"), text("recommendation.kinds_text"), [chart])


def _lists(material: Material) -> Section:
    """What all lists together hold: for which reasons, and how much of the assortment."""
    text, column = material.text, material.column
    reasons = material.decided(
        NAME,
        """SELECT CASE WHEN reason LIKE 'bought %' THEN 'bought' WHEN reason LIKE 'often bought with%' THEN 'together'
                WHEN reason LIKE 'popular%' THEN 'popular' WHEN reason LIKE 'shown by chance%' THEN 'chance'
                WHEN reason LIKE 'looked at%' THEN 'seen' WHEN reason LIKE 'new,%' THEN 'new' ELSE 'other' END
            AS reason, count(*) AS places, count(*) / sum(count(*)) OVER () AS share
        FROM decisions GROUP BY 1 ORDER BY places DESC, reason""",
    )
    if reasons.empty:
        return Section(text("recommendation.lists"))
    reasons = reasons.assign(reason=[text(f"recommendation.reason.{name}") for name in reasons["reason"]])
    columns = {
        "reason": column("recommendation.reason"), "places": column("recommendation.places", "count"),
        "share": column("recommendation.share", "share"),
    }  # fmt: skip
    bars = charts.bars(reasons, "reason", "", x("share", text("recommendation.share"), "share"), charts.told(columns))
    first = reasons.iloc[0]
    described = text("recommendation.reasons_described", reason=first["reason"], share=first["share"])
    shown: list[Part] = [Chart("reasons", text("recommendation.reasons"), described, bars, reasons, columns)]
    listed = material.decided(
        NAME,
        """WITH counted AS (SELECT item_id, count(*) AS places FROM decisions GROUP BY item_id),
        ranked AS (SELECT places, row_number() OVER (ORDER BY places DESC, item_id) AS place, count(*) OVER () AS items
            FROM counted)
        SELECT CAST(ceil(place * 20.0 / items) AS INTEGER) * 0.05 AS items, count(*) AS distinct_items,
            CAST(sum(places) AS BIGINT) AS places FROM ranked GROUP BY 1 ORDER BY 1""",
    )
    listed = listed.assign(share=listed["places"].cumsum() / listed["places"].sum())
    columns = {
        "items": column("recommendation.items", "share"), "share": column("recommendation.share", "share"),
        "distinct_items": column("recommendation.products", "count"),
    }  # fmt: skip
    base = alt.Chart(listed).encode(
        x=x("items", text("recommendation.items"), "share"),
        y=y("share", text("recommendation.share"), "share", scale=alt.Scale(domain=[0, 1])),
        tooltip=charts.told(columns),
    )  # fmt: skip
    described = text(
        "recommendation.spread_described", n=int(listed["distinct_items"].sum()), share=float(listed["share"].iloc[0])
    )
    curve = alt.layer(base.mark_line(), base.mark_point(size=36))
    shown.append(Chart("spread", text("recommendation.spread"), described, curve, listed, columns))
    return Section(text("recommendation.lists"), text("recommendation.lists_text"), shown)


def _titles(material: Material) -> str:
    """SQL of a table (item_id, title), for the query that a file `items` is given to; ids where there are no titles."""
    return "SELECT item_id, coalesce(CAST(any_value(title) AS VARCHAR), item_id) AS title FROM items GROUP BY item_id"


def _examples(material: Material) -> Section:
    text, column = material.text, material.column
    decisions, items = layout.DECISIONS.format(domain=NAME), f"{layout.CLEAN}/items.parquet"
    store = material.context.store
    if not store.exists(decisions):
        return Section(text("recommendation.examples"))
    # Customers at even distances in the order of a hash, so that no kind of id comes first.
    everybody = "SELECT DISTINCT user_id FROM decisions"
    chosen = f"SELECT user_id FROM ({everybody}) ORDER BY hash(user_id), user_id LIMIT {LISTS}"
    named = store.exists(items) and "title" in _columns(material, items)
    titles = _titles(material) if named else "SELECT DISTINCT item_id, item_id AS title FROM decisions"
    frame = material.query(
        f"""WITH chosen AS ({chosen}), titles AS ({titles})
        SELECT user_id, rank, coalesce(t.title, d.item_id) AS title, d.item_id, score, propensity, reason
        FROM decisions d JOIN chosen USING (user_id) LEFT JOIN titles t ON t.item_id = d.item_id
        ORDER BY user_id, rank""",
        **({"decisions": decisions, "items": items} if named else {"decisions": decisions}),
    )
    frame = frame.assign(user_id=[material.pseudonym(user) for user in frame["user_id"]])
    columns = {
        "user_id": column("recommendation.customer"), "rank": column("recommendation.rank", "count"),
        "title": column("recommendation.product", "english"), "item_id": column("recommendation.item_id"),
        "score": column("recommendation.score", "number"), "propensity": column("recommendation.propensity", "share"),
        "reason": column("recommendation.reason", "english"),
    }  # fmt: skip
    table = Table("lists", text("recommendation.examples"), frame, columns)
    return Section(text("recommendation.examples"), text("recommendation.examples_text"), [table])


def _columns(material: Material, file: str) -> set[str]:
    return set(material.query("DESCRIBE SELECT * FROM rows", rows=file)["column_name"])


def _together(material: Material) -> Section:
    """Ties among the products that are sold most, drawn as a graph on a circle."""
    text, column = material.text, material.column
    lines, items = f"{layout.CLEAN}/order_lines.parquet", f"{layout.CLEAN}/items.parquet"
    store = material.context.store
    if not store.exists(lines):
        return Section(text("recommendation.together"))
    named = store.exists(items) and "title" in _columns(material, items)
    titles = _titles(material) if named else "SELECT item_id, item_id AS title FROM sold"
    ties = material.query(
        f"""WITH newest AS (SELECT max(event_timestamp) - INTERVAL {TOGETHER_DAYS} DAY AS since FROM lines),
        recent AS (SELECT order_id, item_id FROM lines, newest WHERE event_timestamp > since),
        sold AS (SELECT item_id, count(*) AS sales FROM recent GROUP BY item_id
            ORDER BY sales DESC, item_id LIMIT {TOGETHER}),
        baskets AS (SELECT DISTINCT order_id, item_id FROM recent SEMI JOIN sold USING (item_id)),
        most AS (SELECT item_id, count(*) AS orders FROM baskets GROUP BY item_id),
        everything AS (SELECT count(DISTINCT order_id) AS n FROM recent),
        pairs AS (SELECT a.item_id AS one, b.item_id AS other, count(*) AS orders FROM baskets a
            JOIN baskets b ON a.order_id = b.order_id AND a.item_id < b.item_id GROUP BY ALL),
        titles AS ({titles})
        SELECT one, other, coalesce(t.title, one) AS one_title, coalesce(u.title, other) AS other_title, p.orders,
            CAST(p.orders AS DOUBLE) * n / (m.orders * o.orders) AS lift
        FROM pairs p CROSS JOIN everything JOIN most m ON m.item_id = one JOIN most o ON o.item_id = other
            LEFT JOIN titles t ON t.item_id = one LEFT JOIN titles u ON u.item_id = other
        WHERE p.orders >= 10 ORDER BY lift DESC, one, other LIMIT {TIES}""",
        **({"lines": lines, "items": items} if named else {"lines": lines}),
    )
    ties = ties[ties["lift"] > 1]
    if ties.empty:
        return Section(text("recommendation.together"), text("recommendation.no_ties"))
    columns = {
        "one_title": column("recommendation.product", "english"),
        "other_title": column("recommendation.with", "english"),
        "orders": column("recommendation.orders", "count"), "lift": column("recommendation.lift", "ratio"),
    }  # fmt: skip
    first = ties.iloc[0]
    described = text(
        "recommendation.together_described", one=first["one_title"], other=first["other_title"], lift=first["lift"]
    )
    chart = Chart("together", text("recommendation.together_chart"), described, _graph(ties, text), ties, columns)
    table = Table("ties", text("recommendation.together"), ties, columns)
    return Section(text("recommendation.together"), text("recommendation.together_text"), [chart, table])


def _graph(ties: pd.DataFrame, text: object) -> object:
    """Products around a circle, in the order of their names, at heights at which their names do not touch."""
    titles = dict(zip(ties["one"], ties["one_title"], strict=True)) | dict(
        zip(ties["other"], ties["other_title"], strict=True)
    )
    names = sorted(titles, key=lambda item: (titles[item], item))
    half = -(-len(names) // 2)
    side = np.where(np.arange(len(names)) < half, 1.0, -1.0)
    height = np.concatenate([np.linspace(1, -1, half), np.linspace(-1, 1, len(names) - half)])
    width = side * np.sqrt(1.05 - height**2)
    at = pd.DataFrame({"item": names, "title": [titles[name] for name in names], "x": width, "y": height})
    at = at.assign(right=at["x"] >= 0, short=[title if len(title) <= 22 else f"{title[:21]}…" for title in at["title"]])
    place = at.set_index("item")
    lines = ties.assign(
        x=place.loc[ties["one"], "x"].to_numpy(), y=place.loc[ties["one"], "y"].to_numpy(),
        x2=place.loc[ties["other"], "x"].to_numpy(), y2=place.loc[ties["other"], "y"].to_numpy(),
    )  # fmt: skip
    across = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-2.3, 2.3]))
    up = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-1.15, 1.15]))
    tie = alt.Chart(lines).mark_rule(color=charts.ACCENT).encode(
        x=across, y=up, x2="x2:Q", y2="y2:Q",
        opacity=alt.Opacity("lift:Q", scale=alt.Scale(range=[0.15, 0.8]), legend=None),
        strokeWidth=alt.StrokeWidth("orders:Q", scale=alt.Scale(range=[1, 5]), legend=None),
        tooltip=["one_title:N", "other_title:N", "orders:Q", alt.Tooltip("lift:Q", format=".2f")],
    )  # fmt: skip
    base = alt.Chart(at).encode(x=across, y=up, tooltip=["title:N", "item:N"])
    dots = base.mark_point(size=60, opacity=1)
    right = base.transform_filter("datum.right").mark_text(align="left", dx=8, fontSize=11).encode(text="short:N")
    left = base.transform_filter("!datum.right").mark_text(align="right", dx=-8, fontSize=11).encode(text="short:N")
    return alt.layer(tie, dots, right, left).properties(height=460)


def _pages(material: Material) -> Section:
    """Where the shop logs its pages: what their order is worth, off-policy."""
    text, column, frame = material.text, material.column, material.plot(NAME, "pages")
    if frame.empty:
        return Section(text("recommendation.pages"), text("recommendation.no_pages"))
    frame = frame.assign(method=[material.method(NAME, name) for name in frame["method"]])
    columns = {
        "measure": column("recommendation.measure", "english"), "method": column("site.method"),
        "estimator": column("recommendation.estimator", "english"), "value": column("site.value", "figure"),
        "low": column("site.low", "figure"), "high": column("site.high", "figure"),
        "effective": column("recommendation.effective", "count"), "why": column("site.why", "english"),
    }  # fmt: skip
    clicks = frame[frame["measure"] == frame["measure"].iloc[0]].dropna(subset=["value"])
    clicks = clicks.assign(name=clicks["method"] + " · " + clicks["estimator"])
    drawn = charts.intervals(
        clicks, "name", text("site.method"), "value", "low", "high", text("recommendation.page_value")
    )
    first = clicks.iloc[0]
    described = text(
        "recommendation.pages_described", name=first["name"], value=first["value"], low=first["low"], high=first["high"]
    )
    chart = Chart(
        "pages", text("recommendation.pages_chart", measure=first["measure"]), described, drawn, clicks, columns
    )
    table = Table("page-values", text("recommendation.pages"), frame, columns)
    return Section(text("recommendation.pages"), text("recommendation.pages_text"), [chart, table])
