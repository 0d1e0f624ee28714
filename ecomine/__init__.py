"""ecomine: from a shop's behaviour data to daily decisions, on validated, point-in-time correct, gated ground."""

__version__ = "0.1.0"
