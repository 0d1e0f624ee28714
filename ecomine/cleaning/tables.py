"""One table through the rules, within DuckDB and its memory limit.

Rows that are refused go to a temporary table; what is clean stays a chain of views over the source, so that a
large table is streamed and never held. Each step narrows the chain by the few keys it found suspicious.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import duckdb

from ecomine.cleaning import rules
from ecomine.cleaning.sessions import assign_sessions
from ecomine.errors import CleaningError
from ecomine.params import CleaningParams
from ecomine.store import write_relation
from ecomine.tables import MALFORMED, Table

REASON = "reason"
"""Extra column of quarantined rows, beside `malformed`: the first rule that hit."""

MEDIAN_ROWS = 5
"""An item with fewer prices has no median worth holding a price against."""

BLANKS = "' \t\r\n\u00a0'"
"""What is cut from both ends of a text: white space, the non-breaking one included."""


class Cleaned:
    """A table after cleaning: its clean rows, its refused rows with reasons, and how many of each."""

    def __init__(
        self,
        table: Table,
        clean_rows: duckdb.DuckDBPyRelation,
        refused_rows: duckdb.DuckDBPyRelation,
        rows: int,
        mended: dict[str, int],
    ) -> None:
        self.table = table
        self.clean_rows = clean_rows
        self.refused_rows = refused_rows
        self.rows = rows
        self.mended = mended
        self._clean_count: int | None = None

    def write(self, clean_path: Path, refused_path: Path) -> None:
        """Both parts as Parquet, the same bytes for the same rows; raises CleaningError as `counts` does."""
        key = [*self.table.key, *(name for name in self.table.names if name not in self.table.key)]
        write_relation(refused_path, self.refused_rows, _listed([*key, MALFORMED, REASON]))
        self._clean_count = write_relation(clean_path, self.clean_rows, _listed(self.table.key))
        self.counts()

    def counts(self) -> dict[str, object]:
        """`{"rows", "clean", "refused", "reasons": {reason: rows}, "mended": {what: values}}`.

        Raises CleaningError where rows went missing, or where a table that had rows is left with none.
        """
        if self._clean_count is None:
            self._clean_count = _number(self.clean_rows.count("*"))
        reasons = dict(
            self.refused_rows.aggregate(f"{REASON}, count(*) AS rows", REASON).order(f"rows DESC, {REASON}").fetchall()
        )
        clean_count, refused = self._clean_count, sum(reasons.values())
        if self.rows != clean_count + refused:
            raise CleaningError(
                f"{self.table.name}: {self.rows:,} rows came in, {clean_count:,} are clean and "
                f"{refused:,} refused; every row must be one or the other. Nothing was written."
            )
        if self.rows and not clean_count:
            told = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.items())
            raise CleaningError(
                f"{self.table.name}: all {self.rows:,} rows were refused: {told}. Look at the mapping of "
                f"{self.table.name}, at `as_of` and at the section `cleaning` of params.yaml, or leave the table out."
            )
        return {
            "rows": self.rows,
            "clean": clean_count,
            "refused": refused,
            "reasons": reasons,
            "mended": self.mended,
        }


def clean(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    dirty: Mapping[str, duckdb.DuckDBPyRelation],
    params: CleaningParams,
    as_of: datetime,
) -> Cleaned:
    """Clean the canonical `table` of `dirty`, whose relations belong to `connection`.

    The relation holds the table's columns and `malformed`; the clean rows hold exactly the table's columns,
    the refused ones both and `reason`.
    """
    cleaning = _Cleaning(connection, table)
    cleaning.mend(dirty[table.name])
    cleaning.refuse_rows(rules.row_rules(table, params, as_of))
    cleaning.refuse_duplicates()
    if table.name in rules.BOT_LIMITS:
        cleaning.refuse_bots(getattr(params, rules.BOT_LIMITS[table.name]))
    if table.name in rules.PRICES and params.price_outlier_factor:
        cleaning.refuse_price_outliers(rules.PRICES[table.name], params.price_outlier_factor)
    mended = cleaning.mended()
    if table.name == rules.SESSIONS:
        lacking = _number(connection.table(cleaning.left).filter("session_id IS NULL").count("*"))
        if lacking:
            mended["session assigned"] = lacking
            cleaning.narrow("sessions", assign_sessions(cleaning.left, params.session_gap_minutes))
    return Cleaned(
        table,
        connection.sql(f"SELECT {_listed(table.names)} FROM {cleaning.left}"),
        connection.sql(f"SELECT {_listed([*table.names, MALFORMED, REASON])} FROM {cleaning.refused}"),
        _number(dirty[table.name].count("*")),
        mended,
    )


class _Cleaning:
    """The chain of views of one table: `left` names what no rule has refused so far, `refused` the rest."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: Table) -> None:
        self.connection = connection
        self.table = table
        self.source = f"{table.name}_dirty"
        self.left = self.source
        self.refused = f"{table.name}_refused"

    def narrow(self, step: str, query: str) -> None:
        name = f"{self.table.name}_{step}"
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")
        self.left = name

    def keep(self, step: str, query: str) -> str:
        name = f"{self.table.name}_{step}"
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")
        return name

    def any(self, name: str) -> bool:
        return bool(_number(self.connection.sql(f"SELECT count(*) FROM {name}")))

    def mend(self, relation: duckdb.DuckDBPyRelation) -> None:
        relation.create_view(self.source, replace=True)
        lower = rules.LOWER_CASE.get(self.table.name, ())
        columns = []
        for column in self.table.columns:
            text = f'"{column.name}"'
            if column.sql_type == "VARCHAR":
                text = f"nullif(trim({text}, {BLANKS}), '')"
                text = f"lower({text})" if column.name in lower else text
                text = f'{text} AS "{column.name}"'
            columns.append(text)
        self.narrow("mended", f"SELECT {', '.join(columns)}, {MALFORMED} FROM {self.source}")

    def mended(self) -> dict[str, int]:
        """How many values were mended, by what was done to them; what was not needed is left out."""
        texts = [f'"{column.name}"' for column in self.table.columns if column.sql_type == "VARCHAR"]
        lower = [f'"{name}"' for name in rules.LOWER_CASE.get(self.table.name, ())]
        trimmed = {text: f"trim({text}, {BLANKS})" for text in texts}
        sums = {
            "trimmed": [f"{short} <> {text} AND {short} <> ''" for text, short in trimmed.items()],
            "blank to null": [f"{short} = ''" for short in trimmed.values()],
            "lower-cased": [f"lower({text}) <> {text}" for text in lower],
        }
        counts = ", ".join(
            " + ".join(f"count(*) FILTER (WHERE {condition})" for condition in conditions) or "0"
            for conditions in sums.values()
        )
        row = self.connection.sql(f"SELECT {counts} FROM {self.source}").fetchall()[0]
        return {what: int(count) for what, count in zip(sums, row, strict=True) if count}

    def refuse_rows(self, row_rules: list[rules.Rule]) -> None:
        cases = " ".join(f"WHEN {rule.condition} THEN {_quoted(rule.reason)}" for rule in row_rules)
        self.narrow("judged", f"SELECT *, CASE {cases} END AS {REASON} FROM {self.left}")
        self.keep("refused", f"SELECT * FROM {self.left} WHERE {REASON} IS NOT NULL")
        self.narrow("sound", f"SELECT * EXCLUDE ({REASON}) FROM {self.left} WHERE {REASON} IS NULL")

    def refuse_duplicates(self) -> None:
        """Of rows with the same key the greatest by all columns stays."""
        key = _listed(self.table.key)
        # Digests are a fraction of the keys' size; two keys with one digest are told apart further down.
        suspects = self.keep(
            "suspects", f"SELECT hash({key}) AS digest FROM {self.left} GROUP BY digest HAVING count(*) > 1"
        )
        if not self.any(suspects):
            return
        whole = f"ROW({_listed(self.table.names)})"
        greatest = ", ".join(f'"{name}" DESC NULLS LAST' for name in self.table.names)
        copies = self.keep(
            "copies",
            f"""
            SELECT *, row_number() OVER ranked AS place,
                lag({whole}) OVER ranked IS NOT DISTINCT FROM {whole} AS copied
            FROM {self.left} SEMI JOIN {suspects} ON hash({key}) = digest
            WINDOW ranked AS (PARTITION BY {key} ORDER BY {greatest})
            """,
        )
        self.connection.execute(f"""
            INSERT INTO {self.refused}
            SELECT * EXCLUDE (place, copied),
                CASE WHEN copied THEN {_quoted(rules.EXACT_COPY)} ELSE {_quoted(rules.SAME_KEY)} END
            FROM {copies} WHERE place > 1
            """)
        self.narrow(
            "distinct",
            f"""
            SELECT * FROM {self.left} ANTI JOIN {suspects} ON hash({key}) = digest
            UNION ALL
            SELECT * EXCLUDE (place, copied) FROM {copies} WHERE place = 1
            """,
        )

    def refuse_bots(self, limit: int) -> None:
        day = f"date_trunc('day', \"{self.table.time}\")"
        bots = self.keep(
            "bots", f"SELECT user_id, {day} AS day FROM {self.left} GROUP BY ALL HAVING count(*) > {limit}"
        )
        self._refuse_matches(bots, f"rows.user_id = found.user_id AND {day} = found.day", rules.BOT, "human")

    def refuse_price_outliers(self, price: str, factor: float) -> None:
        """Prices more than `factor` times off their item's median, which is taken anew until none is left."""
        prices = self.keep("prices", f"SELECT item_id, {price} AS price FROM {self.left} WHERE {price} > 0")
        outliers = self.keep("outliers", f"SELECT * FROM {prices} LIMIT 0")
        while True:
            found = self.keep(
                "found",
                f"""
                WITH medians AS (
                    SELECT item_id, median(price) AS middle FROM {prices}
                    GROUP BY item_id HAVING count(*) >= {MEDIAN_ROWS}
                )
                SELECT DISTINCT item_id, price FROM {prices} JOIN medians USING (item_id)
                WHERE price > middle * {factor} OR price * {factor} < middle
                """,
            )
            if not self.any(found):
                break
            self.connection.execute(f"INSERT INTO {outliers} FROM {found}")
            prices = self.keep(
                "prices",
                f"FROM {prices} SEMI JOIN {found} USING (item_id) ANTI JOIN {found} USING (item_id, price)",
            )
        match = f"rows.item_id = found.item_id AND rows.{price} = found.price"
        self._refuse_matches(outliers, match, rules.PRICE_OUTLIER, "priced")

    def _refuse_matches(self, found: str, match: str, reason: str, step: str) -> None:
        if not self.any(found):
            return
        self.connection.execute(f"""
            INSERT INTO {self.refused}
            SELECT *, {_quoted(reason)} FROM {self.left} AS rows SEMI JOIN {found} AS found ON {match}
            """)
        self.narrow(step, f"SELECT * FROM {self.left} AS rows ANTI JOIN {found} AS found ON {match}")


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _number(relation: duckdb.DuckDBPyRelation) -> int:
    return int(relation.fetchall()[0][0])
