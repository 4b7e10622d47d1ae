#!/usr/bin/env python3
"""Write DMS-shaped Parquet files for benchmarks, the same bytes for the same arguments.

Needs pyarrow and numpy. One table of a casino game: 20 columns (Op, dms_timestamp, 17 table columns, dms_change_seq),
all optional but Op and dms_timestamp, 10,000 rows a row group (DMS's RowGroupLength), page size 1 MiB, zipf-distributed users,
2 % of the meta and device values null. pyarrow writes LogicalType beside ConvertedType and its own created_by; otherwise
the layout is that of the files that DMS writes.

  dms_dataset.py DIR --files 60   --rows 20000                       # large, PLAIN, gzip
  dms_dataset.py DIR --files 2400 --rows 400                         # small
  dms_dataset.py DIR --files 60   --rows 20000 --encoding dictionary
  dms_dataset.py DIR --files 60   --rows 20000 --mixed               # 3 of the 17 columns need a change of type
"""
import argparse, datetime, os
import numpy as np, pyarrow as pa, pyarrow.parquet as pq

COMMIT = 1_763_856_000_000_000  # 2025-11-23 00:00:00 UTC, microseconds


def hexes(rng, rows, digits):
    return [f"{x:0{digits}x}" for x in rng.integers(0, 2**62, rows)]


def table(rng, rows, first, mixed):
    """One file's rows: `first` is the id of its first row."""
    commit = COMMIT + np.arange(first, first + rows) * 2_160  # 40 M rows a day
    stamp = np.datetime_as_string(commit.astype("datetime64[us]"))
    bet = rng.choice([10, 20, 50, 100, 200, 500, 1000], rows) * rng.integers(1, 50, rows)
    win = np.where(rng.random(rows) < 0.3, (bet * rng.random(rows) * 5).astype(np.int64), 0)
    money = lambda cents: pa.array(cents, pa.int64()).cast(pa.decimal128(19, 0)).cast(pa.decimal128(23, 4))
    null = lambda: rng.random(rows) < 0.02
    head, tail = hexes(rng, rows, 16), hexes(rng, rows, 16)
    columns = {
        "Op": pa.array(rng.choice(["I", "U", "D"], rows, p=[0.8, 0.18, 0.02])),
        "dms_timestamp": pa.array([t.replace("T", " ") for t in stamp]),
        "id": pa.array(np.arange(first, first + rows), pa.int64()),
        "user_id": pa.array(rng.zipf(1.3, rows) % 2_000_000, pa.int64()),
        "game_id": pa.array(rng.integers(1, 60, rows), pa.int32()),
        "round_id": pa.array(head),
        "bet_amount": money(bet),
        "win_amount": money(win),
        "currency": pa.array(rng.choice(["USD", "EUR", "KRW", "JPY", "GBP"], rows)),
        "status": pa.array(rng.integers(0, 4, rows), pa.int16()),
        "is_free": pa.array(rng.random(rows) < 0.1),
        "device": pa.array(rng.choice(["ios", "android", "web", "kiosk"], rows), mask=null()),
        "ip": pa.array([".".join(map(str, q)) for q in rng.integers(0, 255, (rows, 4))]),
        "session_id": pa.array([f"{a[:8]}-{a[8:12]}-{a[12:]}-{b[:4]}-{b[4:]}" for a, b in zip(head, tail)]),
        "meta": pa.array([f'{{"lines":{n},"rtp":{r:.4f},"theme":"t{n % 7}"}}' for n, r in zip(rng.integers(1, 30, rows), rng.random(rows))], mask=null()),
        "created_at": pa.array(commit - rng.integers(0, 10**6, rows), pa.timestamp("us")),
        "updated_at": pa.array(commit, pa.timestamp("us")),
        "ledger_id": pa.array(rng.integers(0, 2**62, rows), pa.int64()),
        "balance": money(rng.integers(0, 10**9, rows)),
        "dms_change_seq": pa.array([f"2025112300000000{n:019d}" for n in range(first, first + rows)]),
    }
    if mixed:
        columns["ledger_id"] = pa.array(rng.integers(0, 2**62, rows).astype(np.uint64) * np.uint64(3), pa.uint64())  # bigint unsigned: NUMERIC
        columns["created_at"] = pa.array((commit - rng.integers(0, 10**6, rows)) // 1000, pa.timestamp("ms"))  # milliseconds: micros DATETIME
        columns["balance"] = columns["balance"].cast(pa.decimal128(38, 12))  # scale beyond NUMERIC: BIGNUMERIC
    required = {"Op", "dms_timestamp"}
    schema = pa.schema([pa.field(k, v.type, nullable=k not in required) for k, v in columns.items()])
    return pa.table(columns, schema=schema)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("directory")
    p.add_argument("--files", type=int, default=60)
    p.add_argument("--rows", type=int, default=20_000, help="rows a file")
    p.add_argument("--encoding", choices=["plain", "dictionary"], default="plain")
    p.add_argument("--compression", choices=["gzip", "none"], default="gzip")
    p.add_argument("--mixed", action="store_true")
    p.add_argument("--seed", type=int, default=7)
    a = p.parse_args()
    os.makedirs(a.directory, exist_ok=True)
    rng = np.random.default_rng(a.seed)
    for n in range(a.files):
        t = table(rng, a.rows, n * a.rows, a.mixed)
        at = datetime.datetime(2025, 11, 23) + datetime.timedelta(milliseconds=60_000 * n + 717)
        name = at.strftime("%Y%m%d-%H%M%S") + f"{at.microsecond // 1000:03d}.parquet"
        pq.write_table(t, os.path.join(a.directory, name), compression=a.compression, use_dictionary=a.encoding == "dictionary",
                       version="1.0", coerce_timestamps=None if a.mixed else "us", row_group_size=10_000, data_page_size=1 << 20)


if __name__ == "__main__":
    main()
