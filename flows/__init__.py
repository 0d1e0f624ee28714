"""Prefect flows over the table of stages: `retrain` walks the whole road, `deployment` promotes and takes back."""
