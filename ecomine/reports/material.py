"""What the pages are made of: metrics, gates, plots, decisions and history of a workspace, each read once, when asked.

Tables that grow with the shop are aggregated in DuckDB and never read whole.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from ecomine import gates, layout, metrics
from ecomine.deployment import bundle, records
from ecomine.deployment import status as deployed
from ecomine.domain import Explanation
from ecomine.domains import DOMAINS
from ecomine.errors import EcomineError, FeatureError
from ecomine.pseudonyms import Pseudonyms
from ecomine.reports.language import TEXTS
from ecomine.reports.page import Column

if TYPE_CHECKING:
    from ecomine.stages import Context

EXPLAINED = 2_000
"""Rows of the test period, evenly spread, that a model is explained on."""

RESAMPLED = 100_000
"""Units up to which an interval is found by resampling; beyond, a mean is normal."""


@dataclass(frozen=True)
class Interval:
    """A mean, the ends of its interval, and of how many units."""

    mean: float
    low: float
    high: float
    units: int


@dataclass(frozen=True)
class Material:
    """What a page may ask of a workspace, in one language; `spoken` gives the same in another one."""

    context: "Context"
    language: str
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def spoken(self, language: str) -> "Material":
        """The same material, what was read included, in another language."""
        return dataclasses.replace(self, language=language)

    def text(self, key: str, **values: Any) -> str:
        """The text of a key such as `pricing.answer`, filled with `values`; raises FeatureError for an unknown key."""
        try:
            text = TEXTS[self.language][key]
        except KeyError:
            raise FeatureError(f"There is no text {key!r} in {self.language}; see ecomine/reports/language.") from None
        return text.format(**values) if values else text

    def column(self, key: str, form: str = "text") -> Column:
        """A column of a table that is headed by the text of a key."""
        return Column(self.text(key), form)

    def or_text(self, key: str, otherwise: str) -> str:
        """The text of a key, or `otherwise` where there is none."""
        return TEXTS[self.language].get(key, otherwise)

    def method(self, domain: str, name: str) -> str:
        """How a method is called on a page: the text `<domain>.method.<name>`, or its own name as words."""
        return self.or_text(f"{domain}.method.{name}", self.or_text(f"site.method.{name}", name.replace("_", " ")))

    def remembered(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for all pages and languages."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    @property
    def domains(self) -> list[str]:
        """Domains that there is something to tell about, in the order of params.yaml."""
        names = [*self.context.params.domains, *DOMAINS]
        return [
            name for name in dict.fromkeys(names) if name in DOMAINS and self._has(layout.METRICS.format(domain=name))
        ]

    def read(self, name: str) -> Any:
        """The value of a JSON file of the workspace; None where it is absent."""
        store = self.context.store
        return self.remembered(("json", name), lambda: store.read_json(name) if store.exists(name) else None)

    def metrics(self, domain: str) -> Mapping[str, Mapping[str, float]]:
        """metrics/<domain>.json: method → metric → value."""
        return self.read(layout.METRICS.format(domain=domain)) or {}

    def gate(self, domain: str) -> Mapping[str, Any]:
        """metrics/<domain>.gate.json: whether it was passed, and its checks."""
        return self.read(layout.GATE.format(domain=domain)) or {"passed": None, "checks": []}

    def plot(self, domain: str, name: str) -> pd.DataFrame:
        """A frame of `Evaluation.plots`; empty where this run made none."""
        file = f"{layout.PLOTS.format(domain=domain)}/{name}.csv"
        path = self.context.store.path(file)
        return self.remembered(("csv", file), lambda: pd.read_csv(path) if path.exists() else pd.DataFrame())

    def query(self, sql: str, **files: str) -> pd.DataFrame:
        """The few rows of a query; `files` gives its tables names: table → file of the workspace.

        Raises EcomineError where a file is absent. What grows with the shop must be aggregated in the query.
        """
        return self.remembered(("sql", sql, tuple(sorted(files.items()))), partial(self._query, sql, files))

    def decided(self, domain: str, sql: str) -> pd.DataFrame:
        """The few rows of a query on the table `decisions`, the published decisions of a domain; empty without them."""
        file = layout.DECISIONS.format(domain=domain)
        return self.query(sql, decisions=file) if self._has(file) else pd.DataFrame()

    def values(self, domain: str, sql: str) -> pd.DataFrame:
        """The few rows of a query on the table `units`: money a unit and method on the test period."""
        return self.query(sql, units=layout.VALUES.format(domain=domain))

    def methods(self, domain: str) -> list[str]:
        """Methods whose decisions are worth money a unit: the model first, then the baselines."""
        file = layout.VALUES.format(domain=domain)
        if not self._has(file):
            return []
        kinds = self.query("DESCRIBE SELECT * FROM units", units=file)
        names = kinds.loc[kinds["column_type"].isin(["DOUBLE", "FLOAT"]), "column_name"].tolist()
        return [gates.MODEL, *(name for name in names if name != gates.MODEL)] if gates.MODEL in names else []

    def worth(self, domain: str, method: str, over: str | None = None) -> Interval:
        """Money a unit of a method on the test period, or its gain over another one, with the gate's interval."""
        return self.remembered(("worth", domain, method, over), partial(self._worth, domain, method, over))

    def best_baseline(self, domain: str) -> str | None:
        """The baseline that is worth most, the first of equals as in the gate; None without one."""
        rivals = self.methods(domain)[1:]
        return max(rivals, key=lambda name: self.worth(domain, name).mean) if rivals else None

    def status(self, domain: str) -> Mapping[str, Any]:
        """What is deployed of a domain, as `deployment.status` tells."""
        rows = self.remembered("status", lambda: {row["domain"]: row for row in deployed(self.context)})
        return rows.get(domain, {"domain": domain, "digest": None})

    def history(self, domain: str) -> list[dict[str, Any]]:
        """Every deployment and rollback, oldest first."""
        return self.remembered(("history", domain), lambda: records.history(self.context.store, domain))

    def version(self, domain: str, digest: str, document: str) -> Any:
        """A JSON document of a version (metrics, gate, lineage, parameters, features); None where it is gone."""
        return self.read(f"{bundle.versions(domain)}/{digest}/{document}.json")

    def is_candidate_deployed(self, domain: str) -> bool:
        """Whether the figures of the last evaluation are those of the deployed version."""
        digest = self.status(domain)["digest"]
        return bool(digest) and self.version(domain, digest, "metrics") == self.metrics(domain)

    def explanation(self, domain: str) -> Explanation | None:
        """What moves the candidate's predictions on its test period; None where the domain offers no explanation."""
        return self.remembered(("explanation", domain), lambda: self._explanation(domain))

    def pseudonym(self, identifier: Any) -> str:
        """What stands on a page in place of a person's id."""
        pseudonyms = self.remembered("pseudonyms", lambda: Pseudonyms(self.context.store))
        return pseudonyms.of(str(identifier))

    def _has(self, name: str) -> bool:
        return self.context.store.exists(name)

    def _query(self, sql: str, files: Mapping[str, str]) -> pd.DataFrame:
        absent = [name for name in files.values() if not self._has(name)]
        if absent:
            raise EcomineError(f"{absent[0]} is not there; run the road once: `ecomine run`.")
        connection = self.remembered("connection", lambda: self._connected())
        for table, name in files.items():
            connection.read_parquet(self.context.store.path(name).as_posix()).create_view(table, replace=True)
        return connection.sql(sql).df()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        from ecomine.engine import connect

        return connect(self.context.params.engine, self.context.store.path(layout.SPILL))

    def _worth(self, domain: str, method: str, over: str | None) -> Interval:
        money = f'"{method}"' + (f' - "{over}"' if over else "")
        facts = self.values(
            domain, f"SELECT count(*) n, avg(m) mean, stddev_samp(m) sd FROM (SELECT {money} AS m FROM units)"
        )
        units, mean, spread = int(facts["n"][0]), float(facts["mean"][0]), float(facts["sd"].fillna(0)[0])
        gate, seed = self.context.params.gate, self.context.params.seed
        if units <= RESAMPLED:
            money = self.values(domain, f"SELECT {money} AS m FROM units")["m"].to_numpy(float)
            low, high = metrics.mean_interval(money, gate.confidence, gate.bootstrap_samples, seed)
        else:
            from scipy.stats import norm

            half = float(norm.ppf((1 + gate.confidence) / 2)) * spread / units**0.5
            low, high = mean - half, mean + half
        return Interval(mean, low, high, units)

    def _explanation(self, domain: str) -> Explanation | None:
        offered, file = DOMAINS[domain].explain, f"{layout.FRAMES.format(domain=domain)}/test.parquet"
        folder = layout.MODEL.format(domain=domain)
        if offered is None or not self._has(file) or not self._has(folder):
            return None
        model = DOMAINS[domain].load(self.context.store.path(folder))
        rows = self.query(
            f"""WITH numbered AS (SELECT *, row_number() OVER () - 1 AS place, count(*) OVER () AS everybody FROM rows)
            SELECT * EXCLUDE (place, everybody) FROM numbered
            WHERE place % greatest(1, everybody // {EXPLAINED}) = 0 ORDER BY place LIMIT {EXPLAINED}""",
            rows=file,
        )
        return offered(model, rows, self.context.params.sections[domain])


def pointer(*keys: str) -> str:
    """A JSON pointer (RFC 6901).

    >>> pointer("model", "recall@10")
    '/model/recall@10'
    """
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)
