"""What the API is measured beside: an empty FastAPI route, and the same model in a plain route over Feast's server."""

import argparse
import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import uvicorn
import yaml
from fastapi import FastAPI

from benchmarks.wide import quiet
from ecomine.deployment import load
from ecomine.domains import DOMAINS
from ecomine.feature_store.registry import feast_store
from ecomine.store import Store

SERVICE = "recommendation"
K = 20


def empty() -> FastAPI:
    """One route that does nothing."""
    app = FastAPI()

    @app.get("/empty")
    def nothing() -> dict[str, str]:
        return {}

    return app


def stock(workspace: Path) -> Any:
    """Feast over the features of a workspace, with its own offline and its own SQLite online store."""
    file = workspace / "features/feature_store.yaml"
    settings = yaml.safe_load(file.read_text())
    settings |= {"offline_store": {"type": "duckdb"}, "online_store": {"type": "sqlite", "path": "../data/stock.db"}}
    file.write_text(yaml.safe_dump(settings))
    return feast_store(workspace)


def feature_server(workspace: Path) -> FastAPI:
    """Feast's feature server, filled."""
    from datetime import timedelta

    from feast.feature_server import get_app

    store = stock(workspace)
    os.chdir(workspace / "features")  # Feast's own offline store takes paths as seen from where it was started
    as_of = load(Store(workspace), DOMAINS[SERVICE])[1].as_of
    views = [projection.name for projection in store.get_feature_service(SERVICE).feature_view_projections]
    with quiet():
        store.apply([*store.list_entities(), *store.list_feature_views(), *store.list_feature_services()])
        store.materialize(as_of - timedelta(days=3650), as_of + timedelta(seconds=1), feature_views=views)
    app: FastAPI = get_app(store)
    return app


def plain_route(workspace: Path, features: str) -> FastAPI:
    """The deployed model's candidates, Feast's features, the booster's scores, the best of them: no more than that."""
    app, client = FastAPI(), httpx.Client(base_url=features, timeout=60)
    model, _ = load(Store(workspace), DOMAINS[SERVICE])

    @app.get("/recommend/{user_id}")
    def recommend(user_id: str) -> dict[str, Any]:
        rows = model.candidates(np.array([user_id], object))
        entities = {"user_id": rows["user_id"].tolist(), "item_id": rows["item_id"].tolist()}
        asked = {"feature_service": SERVICE, "entities": entities, "full_feature_names": True}
        answer = client.post("/get-online-features", json=asked).json()
        found = dict(zip(answer["metadata"]["feature_names"], answer["results"], strict=True))
        values = {name: np.array(found[name]["values"], float) for name in model.features}
        score = model.score(pd.concat([rows, pd.DataFrame(values)], axis=1))
        best = np.argsort(-score, kind="stable")[:K]
        return {"items": [{"item_id": rows["item_id"].iloc[place], "score": float(score[place])} for place in best]}

    return app


def main() -> None:
    """Serve one of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=["empty", "features", "route"])
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--features", help="address of Feast's server")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    app = {
        "empty": empty,
        "features": lambda: feature_server(options.workspace),
        "route": lambda: plain_route(options.workspace, options.features),
    }[options.side]()
    uvicorn.run(app, host="127.0.0.1", port=options.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
