"""The page of ads: who is reached and why not, Qini curves, what a budget buys, calibration, off-policy values."""

import altair as alt
import pandas as pd

from ecomine import layout
from ecomine.ads.plots import NOBODY
from ecomine.reports import charts, parts, shop
from ecomine.reports.material import Material
from ecomine.reports.page import Chart, Column, Figure, Page, Part, Section, Table

NAME = "ads"
REACHED, UPLIFT, ESTIMATOR = 100, "uplift", "dr"
RANDOM = "random"

TOTALS = """SELECT count(*) AS people, count(*) FILTER (campaign_id <> 'none') AS reached,
    coalesce(sum(expected_incremental_profit), 0)::DOUBLE AS profit, min(method) AS method,
    count(*) FILTER (reason LIKE '%by chance, to learn from it') AS explored FROM decisions"""


def page(material: Material) -> Page:
    """Whom to reach by which campaign, and what to bid."""
    text, found = material.text, material.decided(NAME, TOTALS)
    answer, sections = text("ads.no_decisions"), []
    claims = len(material.plot(NAME, "qini")) > 0
    if len(found) and int(found["people"][0]):
        one = found.iloc[0]
        key = f"ads.answer_{'uplift' if one['method'] == UPLIFT else 'response'}" if one["reached"] else "ads.nobody"
        answer = text(key, reached=int(one["reached"]), people=int(one["people"]), profit=one["profit"])
        sections.append(_contacts(material, one))
    sections += [_ranking(material, claims), _budget(material), _trueness(material), _off_policy(material, claims)]
    sections += [parts.money_section(material, NAME), parts.gate_section(material, NAME)]
    sections += parts.explanation_section(material, NAME, {"response": text("ads.response")}, people=True)
    notices = [] if claims else [text("ads.no_uplift")]
    title, sections = text("site.ads"), [*sections, shop.lacking(material, NAME)]
    return Page(NAME, title, text("ads.question"), answer, sections, notices)


def _contacts(material: Material, one: pd.Series) -> Section:
    """Contacts by campaign, why others are left alone, and the contacts that are worth most."""
    text, file = material.text, layout.DECISIONS.format(domain=NAME)
    made: list[Part] = [
        Figure(text(f"ads.figure.{name}"), float(one[name]), file, form)
        for name, form in (("people", "count"), ("reached", "count"), ("profit", "signed"), ("explored", "count"))
    ]
    campaigns = material.decided(
        NAME,
        """SELECT campaign_id::VARCHAR AS campaign, count(*) AS contacts, sum(expected_incremental_profit)::DOUBLE AS
            profit, avg(bid) AS bid FROM decisions WHERE campaign_id <> 'none' GROUP BY 1 ORDER BY 3 DESC, 1""",
    )
    alone = material.decided(
        NAME,
        """SELECT reason, count(*) AS people FROM decisions WHERE campaign_id = 'none' GROUP BY 1 ORDER BY 2 DESC, 1
            LIMIT 12""",
    )
    if len(campaigns):
        tips = charts.tips(campaign=(text("ads.campaign"), "text"), contacts=(text("ads.contacts"), "count"),
                           profit=(text("ads.profit"), "signed"), bid=(text("ads.bid"), "money"))  # fmt: skip
        drawn = charts.bars(
            campaigns, "campaign", text("ads.campaign"), charts.x("contacts", text("ads.contacts"), "count"), tips
        )
        first = campaigns.iloc[0]
        described = text("ads.campaigns_described", campaign=first["campaign"], contacts=int(first["contacts"]),
                         profit=first["profit"])  # fmt: skip
        columns = {"campaign": Column(text("ads.campaign")), "contacts": Column(text("ads.contacts"), "count"),
                   "profit": Column(text("ads.profit"), "signed"), "bid": Column(text("ads.bid"), "money")}  # fmt: skip
        made.append(Chart("ads-campaigns", text("ads.campaigns_chart"), described, drawn, campaigns, columns))
    if len(alone):
        drawn = charts.bars(alone, "reason", text("site.why"), charts.x("people", text("ads.people"), "count"))
        described = text("ads.alone_described", reason=alone["reason"][0], people=int(alone["people"][0]))
        columns = {"reason": Column(text("site.why"), "english"), "people": Column(text("ads.people"), "count")}
        made.append(Chart("ads-alone", text("ads.alone_chart"), described, drawn, alone, columns))
    rows = material.decided(
        NAME,
        f"""SELECT user_id::VARCHAR AS person, campaign_id::VARCHAR AS campaign, creative_id::VARCHAR AS creative,
            item_id::VARCHAR AS item_id, expected_incremental_profit AS profit, bid, propensity, reason FROM decisions
            WHERE campaign_id <> 'none' ORDER BY profit DESC, user_id LIMIT {REACHED}""",
    )
    rows = rows.assign(
        person=[material.pseudonym(one) for one in rows["person"]], title=shop.titles(material, rows["item_id"])
    )
    columns = {
        "person": Column(text("ads.person")), "campaign": Column(text("ads.campaign")),
        "creative": Column(text("ads.creative")), "title": Column(text("ads.product")),
        "profit": Column(text("ads.profit"), "signed"), "bid": Column(text("ads.bid"), "money"),
        "propensity": Column(text("ads.propensity"), "share"), "reason": Column(text("site.why"), "english"),
    }  # fmt: skip
    columns = {
        name: column
        for name, column in columns.items()
        if not (name == "title" and not rows["title"].any())
        and not (name == "creative" and (rows["creative"] == "none").all())
    }
    made.append(Table("ads-contacts", text("ads.table"), rows, columns, text=text("ads.table_text")))
    return Section(text("ads.who"), text("ads.who_text"), made)


def _ranking(material: Material, claims: bool) -> Section:
    """Qini curves where contacts were drawn by chance, else how soon those who answer are found."""
    text = material.text
    told = material.plot(NAME, "qini" if claims else "targeting")
    if told.empty:
        return Section(text("ads.ranking"))
    if claims:
        field, label = "gained", text("ads.gained")
        rows = told.assign(name=[material.method(NAME, name) for name in told["method"]])
        made = [_curve(material, "ads-qini", text("ads.qini_chart"), rows, field, label, "number",
                       _said_qini(material, told))]  # fmt: skip
    else:
        field, label = "responses", text("ads.found")
        # Without uplift the model's choice is that of the response model.
        told = told[told["method"] != "response"]
        rows = told.assign(name=[material.method(NAME, name) for name in told["method"]])
        made = []
        for place, (kind, one) in enumerate(rows.groupby("kind", sort=True), 1):
            near = one[(one["share"] - 0.2).abs() < 0.001].set_index("method")["responses"]
            said = text("ads.targeting_described", model=near.get("model", float("nan")),
                        rival=near.get("frequency", float("nan")))  # fmt: skip
            title = text("ads.targeting_chart", kind=kind)
            made.append(_curve(material, f"ads-targeting-{place}", title, one, field, label, "share", said))
    columns = {
        name: Column(text(f"ads.metric.{name}"), form)
        for name, form in (("value", "money"), ("value_low", "money"), ("value_high", "money"), ("contacts", "count"),
                           ("spent", "money"), ("auuc", "figure"), ("average_precision", "figure"), ("auc", "figure"))
    }  # fmt: skip
    table = parts.metrics_table(material, NAME, text("ads.metrics"), columns)
    return Section(
        text("ads.ranking"), text("ads.ranking_uplift" if claims else "ads.ranking_response"), [*made, table]
    )


def _said_qini(material: Material, told: pd.DataFrame) -> str:
    model, rest = told[told["method"] == "model"], told[told["method"] == RANDOM]
    third = model.loc[(model["share"] - 0.3).abs().idxmin()]
    whole = float(rest["gained"].iloc[-1])
    return material.text("ads.qini_described", gained=third["gained"], chance=whole * third["share"], whole=whole)


def _curve(
    material: Material, name: str, title: str, rows: pd.DataFrame, field: str, label: str, form: str, said: str
) -> Chart:
    text = material.text
    across, up = charts.x("share", text("ads.share"), "share"), charts.y(field, label, form)
    colour = alt.Color("name:N", title=text("site.method"))
    tips = charts.tips(name=(text("site.method"), "text"), share=(text("ads.share"), "share"), **{field: (label, form)})
    drawn = alt.Chart(rows[["name", "share", field]]).mark_line().encode(x=across, y=up, color=colour, tooltip=tips)
    few = rows[rows["method"] == "model"]
    few = few.iloc[:: max(len(few) // 20, 1)]
    columns = {"share": Column(text("ads.share"), "share"), field: Column(label, form)}
    return Chart(name, title, said, drawn, few, columns)


def _budget(material: Material) -> Section:
    """What more money buys on the test campaigns, and where the money of the running ones stands."""
    text, told, running = material.text, material.plot(NAME, "budget"), material.plot(NAME, "campaigns")
    made: list[Part] = []
    if len(told):
        spends = _form(told["spent"])
        kinds = {name: text(f"ads.{name}") for name in ("expected", "realised")}
        rows = told.melt(["spent", "contacts"], list(kinds), "kind", "money").assign(
            kind=lambda one: one["kind"].map(kinds)
        )
        across = charts.x("spent", text("ads.spent"), spends)
        tips = charts.tips(kind=(text("ads.money"), "text"), spent=(text("ads.spent"), "money"),
                           contacts=(text("ads.contacts"), "count"), money=(text("ads.brought"), "money"))  # fmt: skip
        up = charts.y("money", text("ads.brought"), _form(rows["money"]))
        drawn = alt.Chart(rows).mark_line().encode(x=across, y=up, color=alt.Color("kind:N", title=None), tooltip=tips)
        spent = material.metrics(NAME).get("model", {}).get("spent")
        layers = [drawn]
        if spent is not None:
            rule = alt.Chart(pd.DataFrame({"spent": [float(spent)]})).mark_rule(strokeDash=[4, 4])
            layers.append(rule.encode(x="spent:Q"))
        best = told.loc[told["expected"].idxmax()]
        described = text("ads.budget_described", spent=best["spent"], expected=best["expected"],
                         realised=best["realised"], cut=spent or 0.0)  # fmt: skip
        columns = {"contacts": Column(text("ads.contacts"), "count"), "spent": Column(text("ads.spent"), "money"),
                   "expected": Column(kinds["expected"], "money"), "realised": Column(kinds["realised"], "money"),
                   "marginal": Column(text("ads.marginal"), "money")}  # fmt: skip
        few = told.iloc[:: max(len(told) // 25, 1)]
        made.append(Chart("ads-budget", text("ads.budget_chart"), described, alt.layer(*layers), few, columns))
        step = alt.Chart(told).mark_line(interpolate="step-after").encode(
            x=across, y=charts.y("marginal", text("ads.marginal"), "number"),
            tooltip=charts.tips(spent=(text("ads.spent"), "money"), marginal=(text("ads.marginal"), "money")),
        )  # fmt: skip
        last = told[told["spent"] <= float(spent or 0.0)]
        margin = float(last["marginal"].iloc[-1]) if len(last) else float(told["marginal"].iloc[0])
        made.append(
            Chart("ads-marginal", text("ads.marginal_chart"), text("ads.marginal_described", marginal=margin),
                  step, few, columns)
        )  # fmt: skip
    if len(running):
        columns = {
            "campaign_id": Column(text("ads.campaign")), "kind": Column(text("ads.kind"), "text"),
            "value": Column(text("ads.answer_value"), "money"), "expected_cost": Column(text("ads.cost"), "money"),
            "to_come": Column(text("ads.to_come"), "count"), "left": Column(text("ads.left"), "money"),
            "share": Column(text("ads.suffices"), "share"), "cut": Column(text("ads.cut"), "money"),
        }  # fmt: skip
        named = running.assign(campaign_id=running["campaign_id"].astype(str))
        made.append(Table("ads-running", text("ads.running"), named, columns, text=text("ads.running_text")))
    return Section(text("ads.budget"), text("ads.budget_text") if made else "", made)


def _form(values: pd.Series) -> str:
    """How an axis of money is written: whole, unless there is little of it."""
    return "count" if len(values) and float(values.abs().max()) >= 20 else "ratio"


def _trueness(material: Material) -> Section:
    text, told = material.text, material.plot(NAME, "calibration")
    if told.empty:
        return Section(text("ads.calibration"))
    model = material.metrics(NAME).get("model", {})
    described = text("ads.calibration_described", expected=model.get("expected_share", float("nan")),
                     came=model.get("true_share", float("nan")))  # fmt: skip
    drawn = charts.calibration(told, text("ads.told"), text("ads.came"), rows=text("ads.contacts"))
    columns = {"score": Column(text("ads.told"), "share"), "label": Column(text("ads.came"), "share"),
               "rows": Column(text("ads.contacts"), "count")}  # fmt: skip
    figures = [
        parts.metric(material, NAME, "model", name, text(f"ads.metric.{name}"), form)
        for name, form in (("calibration_error", "figure"), ("expected_share", "share"), ("true_share", "share"))
    ]
    chart = Chart("ads-calibration", text("ads.calibration_chart"), described, drawn, told, columns)
    return Section(text("ads.calibration"), text("ads.calibration_text"), [*figures, chart])


def _off_policy(material: Material, claims: bool) -> Section:
    """What each way to choose contacts is worth by the log, with intervals."""
    text, told = material.text, material.plot(NAME, "off_policy")
    if told.empty:
        return Section(text("ads.off_policy"), "" if claims else text("ads.no_off_policy"))
    rows = told[(told["estimator"] == ESTIMATOR) & told["value"].notna()]
    rows = rows.assign(name=[material.method(NAME, name) for name in rows["method"]])
    rows = rows.sort_values(["value", "name"], ascending=[False, True])
    made: list[Part] = []
    axis = text("ads.worth")
    if len(rows):
        drawn = charts.intervals(rows, "name", text("site.method"), "value", "low", "high", axis, "number")
        said = dict(zip(rows["method"], rows["value"], strict=True))
        described = text("ads.off_policy_described", model=said.get("model", float("nan")),
                         nobody=said.get(NOBODY, float("nan")))  # fmt: skip
        columns = {"name": Column(text("site.method")), "value": Column(axis, "figure"),
                   "low": Column(text("site.low"), "figure"), "high": Column(text("site.high"), "figure")}  # fmt: skip
        made.append(Chart("ads-off-policy", text("ads.off_policy_chart"), described, drawn, rows, columns))
    shown = told.assign(name=[material.method(NAME, name) for name in told["method"]],
                        estimator=[text(f"ads.estimator.{name}") for name in told["estimator"]])  # fmt: skip
    columns = {
        "name": Column(text("site.method")), "estimator": Column(text("ads.estimator")),
        "value": Column(axis, "figure"), "low": Column(text("site.low"), "figure"),
        "high": Column(text("site.high"), "figure"), "effective": Column(text("ads.effective"), "count"),
    }  # fmt: skip
    made.append(Table("ads-estimates", text("ads.estimates"), shown, columns))
    return Section(text("ads.off_policy"), text("ads.off_policy_text"), made)
