"""The feature services: what each domain asks for."""

from pathlib import Path

from ecomine.feature_store import registry

globals().update(registry.services(Path(__file__).resolve().parents[1]))
