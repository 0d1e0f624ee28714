"""The page of risk: the queue of the day, what a threshold finds and is worth, drift, rings."""

import dataclasses

import altair as alt
import pandas as pd

from ecomine import layout
from ecomine.reports import charts, parts, shop
from ecomine.reports.material import Material
from ecomine.reports.page import Chart, Column, Figure, Page, Part, Picture, Section, Table
from ecomine.risk.features import ANOMALY, FRAUD
from ecomine.risk.ring_picture import ring_svg

NAME = "risk"
QUEUE, RINGS, NARROW = 100, 6, 2
"""Payments of the queue that are shown; rings that are drawn, and how many across on a phone."""

TOTALS = """SELECT count(*) AS waiting, count(*) FILTER (decision = 'review') AS reviews,
    count(*) FILTER (decision = 'block') AS blocks, coalesce(sum(amount) FILTER (decision = 'block'), 0)::DOUBLE AS
    blocked, coalesce(sum(saved_by_review) FILTER (decision = 'review'), 0)::DOUBLE AS worth,
    coalesce(sum(amount), 0)::DOUBLE AS amount, min(mode) AS mode FROM decisions"""


def page(material: Material) -> Page:
    """What to stop."""
    text, found, model = material.text, material.decided(NAME, TOTALS), material.metrics(NAME).get("model", {})
    mode, answer, sections = FRAUD, text("risk.no_decisions"), []
    if len(found) and int(found["waiting"][0]):
        one = found.iloc[0]
        mode = one["mode"]
        answer = text(
            f"risk.answer_{mode}", waiting=int(one["waiting"]), blocks=int(one["blocks"]), reviews=int(one["reviews"]),
            stopped=model.get("frauds_stopped", float("nan")), saved=model.get("saved", float("nan")),
        )  # fmt: skip
        sections.append(_queue(material, one))
    elif "expected_to_known" not in model:
        mode = ANOMALY
    sections += [_curves(material, mode), _weeks(material), _kinds(material, mode), _rings(material), _credit(material)]
    sections += [parts.money_section(material, NAME), parts.gate_section(material, NAME)]
    explained = parts.explanation_section(material, NAME, {mode: text(f"risk.predicted_{mode}")}, people=True)
    if mode == ANOMALY:
        explained = [dataclasses.replace(one, text=text("risk.why_anomaly")) for one in explained]
    title = text("site.risk")
    return Page(
        NAME, title, text("risk.question"), answer, [*sections, *explained, shop.lacking(material, NAME)],
        [text("risk.no_labels")] if mode == ANOMALY else [],
    )  # fmt: skip


def _queue(material: Material, one: pd.Series) -> Section:
    """What analysts look at, the most money first."""
    text, file = material.text, layout.DECISIONS.format(domain=NAME)
    made: list[Part] = [
        Figure(text(f"risk.figure.{name}"), float(one[name]), file, form)
        for name, form in (("waiting", "count"), ("reviews", "count"), ("worth", "signed"), ("blocks", "count"),
                           ("blocked", "money"))
    ]  # fmt: skip
    days = material.decided(
        NAME, "SELECT day, decision, count(*) AS payments FROM decisions GROUP BY 1, 2 ORDER BY 1, 2"
    )
    days = days.assign(name=[text(f"risk.{decision}") for decision in days["decision"]])
    acted = days[days["decision"] != "allow"]
    if len(acted):
        tips = charts.tips(day=(text("risk.day"), "text"), name=(text("risk.decision"), "text"),
                           payments=(text("risk.payments"), "count"))  # fmt: skip
        colour = alt.Color(
            "name:N", title=None, sort=[text("risk.block"), text("risk.review")],
            scale=alt.Scale(domain=[text("risk.block"), text("risk.review")], range=[charts.HUES[1], charts.HUES[0]]),
        )  # fmt: skip
        across = alt.X("day:O", title=text("risk.day"), axis=alt.Axis(labelAngle=0, labelOverlap=True))
        drawn = alt.Chart(acted[["day", "name", "payments"]]).mark_bar().encode(
            x=across, y=charts.y("payments", text("risk.payments"), "count"), color=colour, tooltip=tips
        )  # fmt: skip
        busiest = acted.groupby("day")["payments"].sum()
        described = text("risk.days_described", day=busiest.idxmax(), payments=int(busiest.max()))
        columns = {"day": Column(text("risk.day")), "name": Column(text("risk.decision")),
                   "payments": Column(text("risk.payments"), "count")}  # fmt: skip
        made.append(Chart("risk-days", text("risk.days_chart"), described, drawn, days, columns))
    rows = material.decided(
        NAME,
        f"""SELECT payment_id::VARCHAR AS payment, user_id::VARCHAR AS person, day, amount, score, decision, queue,
            saved_by_review, expected_loss, rules, replace(concat_ws('; ', nullif(reason_1, ''),
            nullif(reason_2, ''), nullif(reason_3, '')), '_', ' ') AS reason FROM decisions WHERE decision <> 'allow'
            ORDER BY CASE decision WHEN 'block' THEN expected_loss ELSE saved_by_review END DESC, payment_id
            LIMIT {QUEUE}""",
    )
    rows = rows.assign(
        payment=[material.pseudonym(one) for one in rows["payment"]],
        person=[material.pseudonym(one) for one in rows["person"]],
        decision=[text(f"risk.{one}") for one in rows["decision"]],
    )
    columns = {
        "payment": Column(text("risk.payment")), "person": Column(text("risk.person")),
        "day": Column(text("risk.day")), "decision": Column(text("risk.decision")),
        "queue": Column(text("risk.place"), "count"), "amount": Column(text("risk.amount"), "money"),
        "score": Column(text("risk.score"), "number"), "saved_by_review": Column(text("risk.saves"), "signed"),
        "rules": Column(text("risk.rules")), "reason": Column(text("site.why"), "english"),
    }  # fmt: skip
    if not (rows["rules"] != "").any():
        columns.pop("rules")
    made.append(Table("risk-queue", text("risk.table"), rows, columns, text=text("risk.table_text")))
    return Section(text("risk.queue"), text("risk.queue_text"), made)


def _curves(material: Material, mode: str) -> Section:
    """Precision against recall, and money by threshold."""
    text, made = material.text, []
    told = material.plot(NAME, "precision_recall")
    if len(told):
        rows = told.assign(name=[material.method(NAME, name) for name in told["method"]]).sort_values("recall")
        across, up = (
            charts.x("recall", text("risk.recall"), "share"),
            charts.y("precision", text("risk.precision"), "share"),
        )
        tips = charts.tips(name=(text("site.method"), "text"), recall=(text("risk.recall"), "share"),
                           precision=(text("risk.precision"), "share"))  # fmt: skip
        drawn = alt.Chart(rows[["name", "recall", "precision"]]).mark_line(interpolate="step-before").encode(
            x=across, y=up, color=alt.Color("name:N", title=text("site.method")), tooltip=tips,
            order=alt.Order("recall:Q"),
        )  # fmt: skip
        model = rows[rows["method"] == "model"]
        half = float(model.loc[model["recall"] >= 0.5, "precision"].max()) if len(model) else float("nan")
        score = material.metrics(NAME).get("model", {}).get("average_precision", float("nan"))
        described = text("risk.recall_described", score=score, precision=half)
        few = model.iloc[:: max(len(model) // 30, 1)]
        columns = {"threshold": Column(text("risk.threshold"), "number"),
                   "recall": Column(text("risk.recall"), "share"),
                   "precision": Column(text("risk.precision"), "share")}  # fmt: skip
        made.append(Chart("risk-precision", text("risk.recall_chart"), described, drawn, few, columns))
    money = material.plot(NAME, "money_by_threshold")
    if len(money):
        ways = {name: text(f"risk.all_{name}") for name in ("review", "block") if name in money}
        rows = money.melt(["share", "threshold"], list(ways), "way", "money").assign(
            way=lambda frame: frame["way"].map(ways)
        )
        # Losses far beyond the best gain would press the rest of the picture flat.
        rows = rows[rows["money"] >= -0.6 * max(float(rows["money"].max()), 1.0)]
        tips = charts.tips(way=(text("risk.way"), "text"), share=(text("risk.stopped_share"), "share"),
                           threshold=(text("risk.threshold"), "number"),
                           money=(text("risk.saved"), "money"))  # fmt: skip
        base = alt.Chart(rows).encode(
            x=alt.X("share:Q", title=text("risk.stopped_share"), scale=alt.Scale(type="log"),
                    axis=alt.Axis(format=".2~%", tickCount=5)),
            y=charts.y("money", text("risk.saved"), "count"), color=alt.Color("way:N", title=None), tooltip=tips,
        )  # fmt: skip
        zero = alt.Chart(pd.DataFrame({"y": [0]})).mark_rule(strokeDash=[4, 4]).encode(y="y:Q")
        best = money.loc[money["review"].idxmax()]
        described = text("risk.money_described", money=best["review"], share=best["share"], threshold=best["threshold"])
        few = money.iloc[:: max(len(money) // 30, 1)]
        columns = {"threshold": Column(text("risk.threshold"), "number"),
                   "share": Column(text("risk.stopped_share"), "share"),
                   **{name: Column(way, "signed") for name, way in ways.items()}}  # fmt: skip
        drawn = alt.layer(zero, base.mark_line())
        made.append(Chart("risk-threshold", text("risk.money_chart"), described, drawn, few, columns))
    calibration = material.plot(NAME, "calibration")
    if len(calibration):
        drawn = charts.calibration(calibration, text("risk.told"), text("risk.came"), rows=text("risk.payments"))
        ratio = material.metrics(NAME).get("model", {}).get("expected_to_known", float("nan"))
        columns = {"score": Column(text("risk.told"), "share"), "label": Column(text("risk.came"), "share"),
                   "rows": Column(text("risk.payments"), "count")}  # fmt: skip
        made.append(
            Chart("risk-calibration", text("risk.calibration_chart"), text("risk.calibration_described", ratio=ratio),
                  drawn, calibration, columns)
        )  # fmt: skip
    columns = {
        name: Column(text(f"risk.metric.{name}"), form)
        for name, form in (("saved", "money"), ("frauds_stopped", "share"), ("honest_blocked", "share"),
                           ("reviewed", "share"), ("precision_of_reviews", "share"), ("average_precision", "figure"),
                           ("auc", "figure"))
    }  # fmt: skip
    table = parts.metrics_table(material, NAME, text("risk.metrics"), columns)
    rows, sources = table.frame, table.sources
    kept = rows["saved"].notna().to_numpy()
    assert sources is not None
    table = dataclasses.replace(table, frame=rows[kept], sources=sources[kept])
    return Section(text("risk.how_well"), text(f"risk.how_well_{mode}"), [*made, table])


def _weeks(material: Material) -> Section:
    """Whether scores and their order have drifted over the test weeks."""
    text, told, weeks = material.text, material.plot(NAME, "drift"), material.plot(NAME, "weeks")
    if told.empty or weeks.empty:
        return Section(text("risk.drift"))
    both = told.merge(weeks[["week", "average_precision", "recall", "frauds"]], on="week", how="left")
    measures = {name: text(f"risk.metric.{name}") for name in ("auc", "average_precision", "recall")}
    rows = both.melt("week", list(measures), "measure", "value").assign(
        measure=lambda one: one["measure"].map(measures)
    )
    week = alt.X("week:O", title=text("risk.week"), axis=alt.Axis(labelAngle=0))
    drawn = charts.lines(rows, week, charts.y("value", text("site.value"), "ratio"), "measure", text("risk.measure"))
    quantiles = {name: text(f"risk.{name.replace('.', '_')}") for name in ("score_0.5", "score_0.9", "score_0.99")}
    spread = told.melt("week", list(quantiles), "quantile", "score").assign(
        quantile=lambda one: one["quantile"].map(quantiles)
    )
    scores = charts.lines(
        spread, week, charts.y("score", text("risk.score"), "number"), "quantile", text("risk.quantile"),
        list(quantiles.values()),
    )  # fmt: skip
    worst = float(told["stability"].max())
    columns = {"week": Column(text("risk.week"), "count")} | {
        name: Column(measure, "ratio") for name, measure in measures.items()
    }
    columns |= {"frauds": Column(text("risk.frauds"), "count"), "stability": Column(text("risk.stability"), "figure")}
    shown = {"week": Column(text("risk.week"), "count")} | {
        name: Column(label, "number") for name, label in quantiles.items()
    }
    low, high = float(both["average_precision"].min()), float(both["average_precision"].max())
    made = [
        Chart("risk-weeks", text("risk.weeks_chart"), text("risk.weeks_described", low=low, high=high), drawn, both,
              columns),
        Chart("risk-scores", text("risk.scores_chart"),
              text("risk.stable" if worst <= 0.25 else "risk.moved", stability=worst), scores, told, shown),
    ]  # fmt: skip
    return Section(text("risk.drift"), text("risk.drift_text"), made)


def _kinds(material: Material, mode: str) -> Section:
    text, kinds = material.text, material.plot(NAME, "kinds")
    if kinds.empty:
        return Section(text("risk.kinds"))
    kinds = kinds.sort_values(["loss", "kind"], ascending=[False, True])
    tips = charts.tips(kind=(text("risk.kind"), "text"), recall=(text("risk.metric.recall"), "share"),
                       frauds=(text("risk.frauds"), "count"), loss=(text("risk.loss"), "money"))  # fmt: skip
    drawn = charts.bars(kinds, "kind", text("risk.kind"), charts.x("recall", text("risk.metric.recall"), "share"), tips)
    worst = kinds.loc[kinds["recall"].idxmin()]
    columns = {"kind": Column(text("risk.kind"), "english"), "frauds": Column(text("risk.frauds"), "count"),
               "stopped": Column(text("risk.stopped"), "count"), "recall": Column(text("risk.metric.recall"), "share"),
               "loss": Column(text("risk.loss"), "money")}  # fmt: skip
    described = text("risk.kinds_described", kind=worst["kind"], recall=worst["recall"])
    chart = Chart("risk-kinds", text("risk.kinds_chart"), described, drawn, kinds, columns)
    made: list[Part] = [chart]
    rules = material.plot(NAME, "rules")
    if len(rules):
        named = {name: Column(name.replace("_", " "), "text" if rules[name].dtype == object else "number")
                 for name in rules.columns}  # fmt: skip
        made.append(Table("risk-rules", text("risk.rules"), rules, named))
    return Section(text("risk.kinds"), text(f"risk.kinds_{mode}"), made)


def _rings(material: Material) -> Section:
    """Several cards on one device, drawn."""
    text, edges = material.text, material.plot(NAME, "rings")
    if edges.empty:
        return Section(text("risk.rings"))
    edges = edges[edges["ring"] <= RINGS]
    first = edges[edges["ring"] == edges["ring"].min()]
    described = text(
        "risk.rings_described", rings=int(edges["ring"].nunique()), cards=int(first["card"].nunique()),
        devices=int(first["device"].nunique()), payments=int(first["payments"].sum()),
    )  # fmt: skip
    picture = Picture(
        "risk-rings", text("risk.rings_picture"), described, _themed(ring_svg(edges)),
        _themed(ring_svg(edges, NARROW)),
    )  # fmt: skip
    return Section(text("risk.rings"), text("risk.rings_text"), [picture])


def _themed(svg: str) -> str:
    """The picture in the colours of the page."""
    for colour, named in (("#888", charts.MUTED), ("#b33", charts.HUES[1]), ("#36c", charts.HUES[0])):
        svg = svg.replace(f'"{colour}"', f'"{named}"')
    return svg.replace("<text ", f'<text fill="{charts.INK}" ')


def _credit(material: Material) -> Section:
    """The scorecard of who pays credit back, and how groups fare, where the shop gives credit."""
    text, card, groups = material.text, material.plot(NAME, "scorecard"), material.plot(NAME, "credit_groups")
    if card.empty:
        return Section(text("risk.credit"))
    forms = {name: "text" if card[name].dtype == object else "number" for name in card.columns}
    made: list[Part] = [
        parts.metric(material, NAME, "scorecard", name, text(f"risk.credit.{name}"), form)
        for name, form in (("accounts", "count"), ("auc", "figure"), ("gini", "figure"), ("ks", "figure"))
    ]
    made.append(
        Table("risk-scorecard", text("risk.scorecard"), card,
              {name: Column(name.replace("_", " "), form) for name, form in forms.items()})
    )  # fmt: skip
    if len(groups):
        named = {name: Column(name.replace("_", " "), "text" if groups[name].dtype == object else "number")
                 for name in groups.columns}  # fmt: skip
        made.append(Table("risk-credit-groups", text("risk.credit_groups"), groups, named))
    return Section(text("risk.credit"), text("risk.credit_text"), made)
