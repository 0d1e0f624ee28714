"""The Feast repo: entities, sources, views and services. Definitions only; the expressions are in ecomine."""
