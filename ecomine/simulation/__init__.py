"""A shop whose truth is known: all canonical tables of one coherent shop, at any size, and beside them the truth.

`simulate` writes both; `demand` holds the law by which people respond, `oracle` the best that anybody could do.
"""

from ecomine.simulation.shop import MANIFEST, completed_days, simulate

__all__ = ["MANIFEST", "completed_days", "simulate"]
