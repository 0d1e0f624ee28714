"""`ecomine init`: the params.yaml that it writes is read, ingested, and says what was not found."""

import os
from pathlib import Path

import duckdb
import pytest
import yaml

from ecomine.errors import SettingsError, SourceError
from ecomine.initialise import PROJECT, write_params
from ecomine.stages import Context, load_params
from ecomine.stages.data import ingest
from tests.shop import tiny_shop, write_raw
from tests.sources.reading import write, write_parquet


def ingested(workspace: Path) -> dict[str, list[dict[str, object]]]:
    ingest(Context.of(workspace))
    return {
        path.stem: duckdb.read_parquet(path.as_posix()).df().to_dict("records")
        for path in sorted((workspace / "data/canonical").glob("*.parquet"))
    }


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """The files of a shop, every one in a manner of its own."""
    raw = tmp_path / "shop/export"
    write(raw, "ORDERS.csv", "Order No;Customer;Ordered At\n1;007;31/01/2024 10:00\n2;008;01/02/2024 09:30\n")
    write(raw, "order_items.csv", "order no,SKU,Qty,Line Total\n1,A1,2,5.00\n1,B2,1,3.00\n2,A1,1,2.50\n")
    write(
        raw,
        "products.json",
        '[{"id": "A1", "name": "Cup", "cost": "1,20"}, {"id": "B2", "name": "Jug", "cost": "2,00"}]',
    )
    write_parquet(raw / "customers.parquet", "SELECT '007' AS customer_id, 'Leeds' AS City, 5 AS shoe_size")
    write(
        raw,
        "clicks.csv",
        "visitorid,timestamp,event,itemid\n7,1433221332117,addtocart,A1\n8,1433224214164,view,B2\n",
    )
    write(raw, "promotions.csv", "item,from\nA1,2024-01-01\n")
    write(raw, "broken.parquet", "PAR1")
    write(raw, "nothing.csv", "")
    write(raw, "notes.md", "not data")
    return tmp_path / "shop"


def test_messy_files_become_a_mapping_that_ingests(messy: Path) -> None:
    path = write_params(messy / "export", messy)
    text = path.read_text()
    assert load_params(messy).raw == "export"
    assert "not read: broken.parquet" in text
    assert "not read: nothing.csv: empty, 0 bytes" in text
    assert "promotions.csv comes close, but lacks end_date" in " ".join(text.replace("#", " ").split())
    tables = ingested(messy)
    assert set(tables) == {"events", "items", "order_lines", "users"}
    lines = [
        (row["order_id"], row["user_id"], row["item_id"], row["quantity"], row["unit_price"])
        for row in tables["order_lines"]
    ]
    assert lines == [("1", "007", "A1", 2, 2.5), ("1", "007", "B2", 1, 3.0), ("2", "008", "A1", 1, 2.5)]
    assert str(tables["order_lines"][0]["event_timestamp"]) == "2024-01-31 10:00:00"
    assert [(row["item_id"], row["title"], row["unit_cost"]) for row in tables["items"]] == [
        ("A1", "Cup", 1.2),
        ("B2", "Jug", 2.0),
    ]
    assert [(row["user_id"], row["region"]) for row in tables["users"]] == [("007", "Leeds")]
    assert sorted(row["event_type"] for row in tables["events"]) == ["cart", "view"]
    assert min(str(row["event_timestamp"]) for row in tables["events"]).startswith("2015-06-02 05:02:12")


def test_canonical_files_map_to_themselves(tmp_path: Path) -> None:
    shop = tiny_shop(users=10, days=30)
    write_raw(tmp_path / "data/raw", shop)
    write_params(tmp_path / "data/raw", tmp_path)
    assert {name: len(rows) for name, rows in ingested(tmp_path).items()} == {
        name: len(frame) for name, frame in shop.items()
    }


def test_ingest_gives_the_same_bytes_again(tmp_path: Path) -> None:
    write_raw(tmp_path / "data/raw", tiny_shop(users=10, days=30))
    write_params(tmp_path / "data/raw", tmp_path)
    ingest(Context.of(tmp_path))
    first = {path.name: path.read_bytes() for path in (tmp_path / "data/canonical").iterdir()}
    ingest(Context.of(tmp_path))
    assert {path.name: path.read_bytes() for path in (tmp_path / "data/canonical").iterdir()} == first


def test_items_and_users_come_from_order_lines_where_no_file_has_them(tmp_path: Path) -> None:
    body = "1,A,cup,u1,DE,2024-01-01,1,2\n2,A,Cup,u1,DE,2024-01-02,1,2\n"
    body += "3,A,Cup,u1,FR,2024-01-03,1,2\n4,B,,,FR,2024-01-03,1,2\n"
    head = "Invoice,StockCode,Description,Customer ID,Country,InvoiceDate,Quantity,Price\n"
    write(tmp_path / "raw", "retail.csv", head + body)
    write_params(tmp_path / "raw", tmp_path)
    tables = ingested(tmp_path)
    assert [(row["item_id"], row["title"]) for row in tables["items"]] == [("A", "Cup"), ("B", None)]
    assert [(row["user_id"], row["region"]) for row in tables["users"]] == [("u1", "DE")]


def test_a_second_file_of_a_table_is_told_and_used_for_nothing_else(tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        lines = f"order_id,user_id,item_id,date,quantity,price\n{year},u,i,{year}-01-01,1,2\n"
        write(tmp_path / "raw", f"orders_{year}.csv", lines)
    text = write_params(tmp_path / "raw", tmp_path).read_text()
    assert "orders_2024.csv could give it too; UNION ALL adds a second SELECT" in text
    assert set(ingested(tmp_path)) == {"order_lines", "items", "users"}


def test_nothing_is_overwritten_unless_forced(messy: Path) -> None:
    (messy / "params.yaml").write_text("seed: 1\n")
    with pytest.raises(SettingsError, match="--force"):
        write_params(messy / "export", messy)
    assert (messy / "params.yaml").read_text() == "seed: 1\n"
    write_params(messy / "export", messy, force=True)
    assert load_params(messy).source == "sql"
    first = (messy / "params.yaml").read_bytes()
    write_params(messy / "export", messy, force=True)
    assert (messy / "params.yaml").read_bytes() == first


def test_a_workspace_elsewhere_gets_what_it_needs(messy: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "elsewhere"
    (workspace / "features").mkdir(parents=True)
    (workspace / "features/own.py").write_text("# mine\n")
    write_params(messy / "export", workspace)
    params = load_params(workspace)
    assert (params.raw, params.project) == (str(messy / "export"), str(PROJECT))
    assert (workspace / "dvc.yaml").read_bytes() == (PROJECT / "dvc.yaml").read_bytes()
    assert sorted(path.name for path in (workspace / "expectations").iterdir()) == sorted(
        path.name for path in (PROJECT / "expectations").iterdir() if path.name != "__pycache__"
    )
    assert [path.name for path in (workspace / "features").iterdir()] == ["own.py"]
    assert not list(workspace.rglob(".*.new"))


def test_folders_without_tables(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no folder"):
        write_params(tmp_path / "absent", tmp_path)
    write(tmp_path / "raw", "empty.csv", "")
    with pytest.raises(SourceError, match=r"no CSV, Parquet or JSON file with rows. Not read: empty.csv"):
        write_params(tmp_path / "raw", tmp_path)
    write(tmp_path / "raw", "weather.csv", "town,rain\nLeeds,3\n")
    write_params(tmp_path / "raw", tmp_path)
    assert yaml.safe_load((tmp_path / "params.yaml").read_text())["sql"]["tables"] == {}
    with pytest.raises(SettingsError, match="maps nothing"):
        ingest(Context.of(tmp_path))
    assert not (tmp_path / "data/canonical").exists()


def test_a_real_untidy_table_ingests_at_once(tmp_path: Path) -> None:
    folder = Path(os.environ.get("ECOMINE_DATA", PROJECT.parent / "shared/data"))
    source = folder / "online_retail_2009_2010.parquet"
    if not source.is_file():
        pytest.skip(f"online_retail_2009_2010.parquet is not in {folder}; set ECOMINE_DATA to the folder that has it")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / source.name).symlink_to(source)
    write_params(tmp_path / "raw", tmp_path)
    ingest(Context.of(tmp_path))
    canonical = tmp_path / "data/canonical"
    assert sorted(path.stem for path in canonical.iterdir()) == ["items", "order_lines", "users"]
    lines = duckdb.read_parquet((canonical / "order_lines.parquet").as_posix())
    counts = lines.aggregate("count(*), count(user_id), count(malformed), count(*) FILTER (quantity < 0)").fetchall()
    given = duckdb.sql(
        f"""SELECT count(*), count("Customer ID"), 0, count(*) FILTER ("Quantity" < 0) FROM '{source}'"""
    )
    assert counts == given.fetchall() and counts[0][0] == 525_461
    first = lines.filter("order_id = '489434' AND item_id = '85048'").fetchall()[0]
    assert first[:3] == ("489434", "13085", "85048") and (first[5], first[6]) == (12.0, 6.95)
    assert str(first[4]) == "2009-12-01 07:45:00"
