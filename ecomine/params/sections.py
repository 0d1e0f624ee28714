"""The sections of params.yaml that belong to no domain: each setting once, with its meaning, unit and default."""

from dataclasses import dataclass
from datetime import datetime

from ecomine.params.reading import setting

CRON = (r"[-\d*/,A-Za-z]+( [-\d*/,A-Za-z]+){4}", "five fields of cron, such as 0 3 * * 1 for Monday 03:00 UTC")
"""When something starts by itself."""


@dataclass(frozen=True)
class EngineParams:
    """Where table expressions run."""

    kind: str = setting("duckdb", "what computes features: duckdb, in this process, or spark, a cluster")
    master: str = setting("local[*]", "URL of the Spark cluster, such as spark://host:7077")
    memory_limit: str = setting(
        "3GB",
        "memory DuckDB may use before it spills to disk",
        like=(r"\d+(\.\d+)? ?[KMGT]i?B", "an amount such as 3GB or 512MB"),
    )
    threads: int = setting(
        2, "threads of DuckDB and XGBoost; part of what makes a run reproducible", at_least=1, at_most=1024
    )


@dataclass(frozen=True)
class SqlParams:
    """A shop's own tables, mapped by one SELECT a canonical table."""

    database: str | None = setting(None, "database URL, or null to read files of the folder `raw` through DuckDB")
    tables: dict[str, str] = setting({}, "canonical table → SELECT")


@dataclass(frozen=True)
class CleaningParams:
    """What a row must satisfy; the others go to quarantine."""

    earliest: datetime = setting(datetime(1990, 1, 1), "rows dated before it are refused")
    max_quantity: float = setting(1000.0, "greatest number of units on an order line", at_least=1)
    max_unit_price: float = setting(100_000.0, "greatest price of one unit", at_least=0)
    price_outlier_factor: float = setting(
        50.0, "a unit price this many times above or below its item's median is refused; 0 switches off", at_least=0
    )
    session_gap_minutes: int = setting(30, "a pause this long ends a session", at_least=1)
    bot_events_per_day: int = setting(5000, "a user with more events on one day is a bot", at_least=1)
    bot_lines_per_day: int = setting(2000, "a user with more order lines on one day is a bot", at_least=1)


@dataclass(frozen=True)
class QualityParams:
    """How clean tables are validated."""

    max_rows: int = setting(2_000_000, "tables larger than this are validated on an even sample of it", at_least=1)
    max_volume_change: float = setting(
        0.5, "warn when a table grew or shrank by more than this share since the last run", at_least=0
    )
    max_age_days: int = setting(7, "warn when the newest row is older than this at as_of", at_least=0, at_most=36_500)


@dataclass(frozen=True)
class FeatureParams:
    """How features are computed."""

    snapshot_days: int = setting(7, "days between two snapshots of windowed features", at_least=1, at_most=3650)
    windows: list[int] = setting([7, 30, 90], "lengths of the windows, in days", at_least=1, at_most=3650)
    tables: list[str] | None = setting(
        None, "feature tables to compute; null for those that the configured domains learn from"
    )
    category_levels: int = setting(
        2, "levels of a category, from the broadest on, that features tell apart", at_least=1
    )
    selection: str = setting(
        "report", "features that add nothing: `report` tells them, `drop` also keeps them from the model"
    )
    overlap_days: int = setting(
        3,
        "days before the last run in which late rows are looked for; a later one costs a whole computation",
        at_least=0,
    )


@dataclass(frozen=True)
class OnlineParams:
    """Where the newest features lie for serving."""

    kind: str = setting("sqlite", "sqlite (a file in data/online), redis or postgres")
    url: str | None = setting(None, "address of the server, ${NAME} an environment variable; null for sqlite")
    prefix: str = setting("ecomine", "what every name on the server begins with; one for each workspace")
    chunk_days: int = setting(90, "days of feature rows that are looked through at a time", at_least=1)
    batch_rows: int = setting(50_000, "rows written at a time; a run that was killed goes on after them", at_least=1)


@dataclass(frozen=True)
class StreamingParams:
    """Events in real time: where they are written before they are answered for, and what takes them on."""

    kind: str = setting("log", "log, a file in data/stream, for one machine, or redis, for several")
    url: str | None = setting(None, "address of the Redis server, ${NAME} an environment variable; null for log")
    prefix: str = setting("ecomine", "what every name on the server begins with; one for each workspace")
    embedded: bool = setting(True, "whether `ecomine serve` also takes events on, as `ecomine consume` does")
    window_days: float = setting(
        30.0, "an event may come so late; within this time the same event counts once", at_least=0.01
    )
    ahead_minutes: float = setting(10.0, "an event may be dated so far ahead of the server's clock", at_least=0)
    batch: int = setting(2000, "events taken on in one transaction", at_least=1, at_most=100_000)
    land_minutes: float = setting(10.0, "minutes between two writes of new events into the shop's files", at_least=0)


@dataclass(frozen=True)
class GateParams:
    """What a candidate must show before it may be deployed."""

    confidence: float = setting(0.95, "level of the bootstrap interval", at_least=0.5, at_most=0.999)
    bootstrap_samples: int = setting(1000, "resamples of the test units", at_least=100, at_most=100_000)
    min_gain: float = setting(0.0, "lower end of the gain over the best baseline, money a unit, must be above it")
    champion_tolerance: float = setting(
        0.02, "share of the champion's value that a challenger may lose on the same rows", at_least=0
    )
    equality_sample: int = setting(200, "entities whose online and offline features are compared", at_least=1)
    max_bundle_mb: float = setting(200.0, "greatest size of a bundle, megabytes", at_least=0)
    max_latency_ms: float = setting(250.0, "greatest median time of one answer, milliseconds", at_least=0)


@dataclass(frozen=True)
class ServingParams:
    """The HTTP API."""

    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on", at_least=1, at_most=65535)
    workers: int = setting(1, "processes that answer", at_least=1, at_most=256)
    keys: bool = setting(False, "whether every question needs an API key, see `ecomine key`")
    receipt_days: float = setting(30.0, "days that receipts of answers are kept; 0 keeps none", at_least=0)
    max_body_kb: int = setting(1024, "greatest body of a request, kilobytes", at_least=1)
    requests_a_second: float = setting(0.0, "requests that one caller may make in a second; 0 = any", at_least=0)
    memory_mb: float = setting(64.0, "answers that a process remembers, megabytes; 0 = none", at_least=0)
    ahead: bool = setting(True, "whether `ecomine serve` has answers made before they are asked for")


@dataclass(frozen=True)
class ReportParams:
    """The pages for people."""

    language: str = setting(
        "en", "the language that opens first; the other one is a click away", like=("en|zh", "en or zh")
    )


@dataclass(frozen=True)
class ChallengerParams:
    """When a version that is tried beside the deployed one has failed, and when it has shown enough."""

    min_answers: int = setting(500, "answers of each of the two before their times are compared", at_least=1)
    max_error_share: float = setting(0.01, "share of its answers that may fail", at_least=0, at_most=1)
    max_slowdown: float = setting(2.0, "its 95th percentile of time ÷ the champion's, at most", at_least=1)
    promote: bool = setting(False, "whether the server deploys it by itself once it has shown enough")
    check_seconds: float = setting(5.0, "time between two looks at what it has shown", at_least=0.05)


@dataclass(frozen=True)
class MonitoringParams:
    """When what is deployed no longer fits what happens in the shop; see docs/monitoring.md."""

    window_days: int = setting(1, "length of a window, days; windows end at midnight UTC", at_least=1, at_most=90)
    bad_windows: int = setting(2, "bad windows that make an alarm, among the last `windows`", at_least=1)
    windows: int = setting(3, "windows looked back at for an alarm", at_least=1, at_most=100)
    reference_days: int = setting(28, "days before a version's as_of that later ones are compared with", at_least=2)
    least_reference: int = setting(5, "windows that tell what is usual; fewer raise no alarm", at_least=2)
    deviations: float = setting(4.0, "a daily measure this many spreads below its median is bad", at_least=0)
    psi: float = setting(0.2, "population stability index from which on a column has drifted", at_least=0)
    ks: float = setting(0.2, "Kolmogorov–Smirnov distance from which on a column has drifted", at_least=0, at_most=1)
    chance: float = setting(0.001, "a difference more probable than this by chance is none", at_least=0, at_most=1)
    nulls: float = setting(0.2, "change of a column's share of nulls that is bad", at_least=0, at_most=1)
    drifted_share: float = setting(0.5, "share of the columns that have drifted, from which on it is bad", at_least=0)
    entities: int = setting(200, "entities whose features and scores are watched", at_least=1)
    min_rows: int = setting(100, "fewer rows in a window are not compared", at_least=1)
    matured_days: int = setting(7, "days between two evaluations on what has come true since", at_least=1)
    again_days: int = setting(7, "days after which an alarm that is still up is told again", at_least=1)
    max_refused: float = setting(0.2, "share of a table's rows refused by cleaning that is bad", at_least=0, at_most=1)
    max_warnings: int = setting(0, "expectations of severity warning that may fail", at_least=0)
    max_data_age_days: float = setting(2.0, "age of the data and of online features that is bad, days", at_least=0)
    max_fallback: float = setting(
        0.05, "share of an hour's answers that failed or that the deployed version did not give", at_least=0, at_most=1
    )
    max_p95_ms: float = setting(
        500.0, "time within which 95 % of an hour's answers must come, milliseconds", at_least=1
    )
    min_answers: int = setting(50, "fewer answers in an hour are not judged", at_least=1)


@dataclass(frozen=True)
class SimulationParams:
    """The simulated shop, for `ecomine simulate` and `source: simulated`."""

    users: int = setting(250, "people who may ever open an account", at_least=1)
    items: int = setting(1200, "products that may ever be sold", at_least=8)
    days: int = setting(180, "days to simulate; more days later continue the same shop", at_least=1)
    seed: int = setting(42, "seed of the whole shop", at_least=0)
    start: datetime = setting(datetime(2024, 1, 1), "midnight of the first day, UTC")
    locations: int = setting(3, "warehouses, each serving a region", at_least=1, at_most=100)
    visits_per_year: float = setting(90.0, "visits a year of the average active customer", at_least=0)
    needs_per_visit: float = setting(7.5, "median number of things looked for in a visit", at_least=0.1)
    page_size: int = setting(8, "products on a page of search results", at_least=1, at_most=50)
    random_page_share: float = setting(0.1, "share of pages in random order", at_least=0, at_most=1)
    promotion_share: float = setting(0.43, "share of products on promotion in an average week", at_least=0, at_most=1)
    price_test_share: float = setting(0.06, "share of products in a randomised price test", at_least=0, at_most=1)
    holdout_share: float = setting(0.15, "share of people held out of each campaign", at_least=0, at_most=1)
    fraud_share: float = setting(0.04, "share of accounts opened by fraudsters", at_least=0, at_most=0.5)
    household_sharing: float = setting(
        0.3, "share of households whose people use one another's devices and cards", at_least=0, at_most=1
    )
    taste_change_day: int = setting(0, "day on which some people change their tastes; 0 = never", at_least=0)
    taste_change_share: float = setting(0.5, "share of people who change them", at_least=0, at_most=1)
    dirt: float = setting(1.0, "how dirty the tables are: 0 clean, 1 as in a careless shop", at_least=0, at_most=20)


@dataclass(frozen=True)
class SchedulesParams:
    """When flows start by themselves: minute, hour, day, month, weekday, UTC; null switches one off."""

    score: str | None = setting("0 5 * * *", "decisions of the deployed versions on fresh features", like=CRON)
    retrain: str | None = setting("0 3 * * 1", "the whole road for every domain", like=CRON)
    monitor: str | None = setting("20 * * * *", "a look at data, features, scores and answers", like=CRON)


@dataclass(frozen=True)
class RunParams:
    """Patience of flow runs: with a server that is away, with another run at work, with a step that hangs."""

    retries: int = setting(
        4, "times that a step is tried again where waiting can help: a server that is away, DVC at work", at_least=0
    )
    retry_seconds: float = setting(15.0, "pause before the first of them; each next one is twice as long", at_least=0)
    wait_minutes: float = setting(60.0, "how long a run waits for another one that writes to the workspace", at_least=0)
    step_minutes: float = setting(240.0, "a step that takes longer is ended, and the run fails", at_least=0.01)


@dataclass(frozen=True)
class NotificationParams:
    """Who is told what; addresses and passwords lie in Prefect blocks, see docs/runs.md."""

    blocks: list[str] = setting(
        [], "Prefect blocks to send through, such as slack-webhook/shop or email-server-credentials/shop"
    )
    to: list[str] = setting([], "e-mail addresses, for blocks that send e-mail")
    kinds: list[str] = setting(
        ["failed", "refused", "deployed", "rolled_back", "drift"], "what is told; leave out what is not wanted"
    )
