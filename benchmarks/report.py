"""How every benchmark tells its figures: a table for people, and as the last line one JSON object for programs."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One figure beside its reference; `ratio` is value / reference, where both are there."""

    what: str
    value: float
    reference: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.value / self.reference if self.reference else None


def report(benchmark: str, protocol: str, rows: list[Row]) -> None:
    """Print the protocol, the table and the JSON line."""
    print(f"{benchmark}: {protocol}\n")
    print(f"{'what':44} {'value':>12} {'reference':>12} {'ratio':>8}")
    for row in rows:
        print(f"{row.what:44} {row.value:12.4f} {_text(row.reference):>12} {_text(row.ratio):>8}")
    print(json.dumps({"benchmark": benchmark, "rows": [{**asdict(row), "ratio": row.ratio} for row in rows]}))


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
