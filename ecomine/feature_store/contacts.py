"""What earlier ads and coupons did to a user: how many there were, what was clicked, and what came of them.

What came of a contact counts from the moment at which it is known: the end of its campaign, since until then an answer
may still come.
"""

import ibis
from ibis import _

from ecomine.feature_store.declaration import DAY, EVENT_TIMESTAMP, Feature, FeatureTable, Scope, exact, ratio, total
from ecomine.feature_store.lines import after_kept, of_the_touched, seconds

FEATURES = (
    Feature("contacts_total", "contacts", "ads and coupons that reached the user so far", lambda t, w: t.contacts),
    Feature("clicks_total", "clicks", "clicks on them so far", lambda t, w: t.clicks),
    Feature("click_share", "share", "clicks ÷ contacts so far", lambda t, w: ratio(t.clicks, t.contacts)),
    Feature("known_total", "contacts", "contacts of campaigns that ended so far", lambda t, w: t.known),
    Feature("responses_total", "contacts", "of these, contacts that led to a purchase", lambda t, w: t.responses),
    Feature(
        "response_share",
        "share",
        "purchases ÷ contacts of campaigns that ended so far",
        lambda t, w: ratio(t.responses, t.known),
    ),
    Feature("response_revenue", "money", "money that these purchases brought", lambda t, w: total(t.revenue)),
    Feature(
        "last_contact_day",
        "days since 1970-01-01",
        "when the last contact was; the row's own time less this is how long ago",
        lambda t, w: t.last_contact.cast("float64") / DAY,
    ),
    Feature(
        "last_response_day",
        "days since 1970-01-01",
        "when the last campaign with a purchase ended",
        lambda t, w: t.last_response.cast("float64") / DAY,
    ),
)

MEASURES = ("contacts", "clicks", "known", "responses", "revenue")


def build(table: FeatureTable, scope: Scope) -> ibis.Table:
    """One row for each moment at which a user was reached, or it came out what a contact had done."""
    moments = of_the_touched(_moments(scope), ["user_id"], scope)
    so_far = ibis.window(group_by="user_id", order_by=EVENT_TIMESTAMP, preceding=None, following=0)
    reached = ibis.ifelse(_.contacts > 0, _.second, ibis.null("int64"))
    answered = ibis.ifelse(_.responses > 0, _.second, ibis.null("int64"))
    moments = moments.mutate(reached=reached, answered=answered)
    totals = moments.select(
        "user_id",
        EVENT_TIMESTAMP,
        **{name: _[name].sum().over(so_far) for name in MEASURES},
        last_contact=_.reached.max().over(so_far),
        last_response=_.answered.max().over(so_far),
    )
    totals = after_kept(totals, scope)
    return totals.select(
        "user_id",
        EVENT_TIMESTAMP,
        **{column.name: column.of(totals).cast(column.dtype) for column in table.columns(scope.params)},
    )


def _moments(scope: Scope) -> ibis.Table:
    """By user and moment: contacts, clicks, and contacts whose outcome came to be known, with what they brought."""
    shown = scope.tables["ad_impressions"]
    absent = {
        name: ibis.null(kind)
        for name, kind in (("clicked", "boolean"), ("converted", "boolean"), ("treated", "boolean"))
        if name not in shown.columns
    }
    if "revenue" not in shown.columns:
        absent["revenue"] = ibis.null("float64")
    as_of = ibis.literal(scope.as_of)
    shown = shown.mutate(**absent).filter(_[EVENT_TIMESTAMP] <= as_of)
    if "campaigns" in scope.tables and "end_date" in scope.tables["campaigns"].columns:
        ends = scope.tables["campaigns"].group_by("campaign_id").agg(end_date=_.end_date.max())
        shown = shown.left_join(ends, "campaign_id", rname="{name}_right")
    else:
        shown = shown.mutate(end_date=ibis.null("timestamp"))
    shown = shown.filter(_.treated.fill_null(True))
    none = ibis.literal(0).cast("float64")
    contacts = shown.select(
        "user_id",
        EVENT_TIMESTAMP,
        contacts=ibis.literal(1).cast("float64"),
        clicks=_.clicked.fill_null(False).cast("float64"),
        known=none,
        responses=none,
        revenue=none,
    )
    told = shown.mutate(known_at=ibis.greatest(_.end_date.fill_null(_[EVENT_TIMESTAMP]), _[EVENT_TIMESTAMP]))
    told = told.filter(_.converted.notnull(), _.known_at <= as_of)
    outcomes = told.select(
        "user_id",
        _.known_at.name(EVENT_TIMESTAMP),
        contacts=none,
        clicks=none,
        known=ibis.literal(1).cast("float64"),
        responses=_.converted.cast("float64"),
        revenue=ibis.ifelse(_.converted, exact(_.revenue.fill_null(0.0)), 0.0),
    )
    parts = contacts.union(outcomes)
    moments = parts.group_by("user_id", EVENT_TIMESTAMP).agg(**{name: _[name].sum() for name in MEASURES})
    return moments.mutate(second=seconds(_[EVENT_TIMESTAMP]))


USER_CONTACTS = FeatureTable(
    "user_contacts",
    "users from each contact by a campaign on, and from when its outcome is known",
    ("user_id",),
    365,
    FEATURES,
    build,
    sources=("ad_impressions",),
    improves=("campaigns",),
)
