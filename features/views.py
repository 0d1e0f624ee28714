"""The feature views, one a feature table, for the windows in the workspace's params.yaml."""

from pathlib import Path

from ecomine.feature_store import registry

globals().update(registry.views(Path(__file__).resolve().parents[1]))
