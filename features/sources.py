"""Where feature tables lie: one Parquet file each, written by `ecomine stage features`."""

from pathlib import Path

from ecomine.feature_store import registry

globals().update(registry.sources(Path(__file__).resolve().parents[1]))
