"""Where feature tables lie: one Parquet file each, written by `ecomine stage features`."""

from ecomine.feature_store import registry

globals().update(registry.sources())
