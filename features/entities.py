"""Whom features are about. Feast finds definitions by the names of a module, so each gets one."""

from ecomine.feature_store import registry

globals().update(registry.entities())
