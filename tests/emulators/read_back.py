#!/usr/bin/env python3
"""Compares what a MySQL server has with what is read back from the lake (by pyarrow and by DuckDB) and from BigQuery (by Google's
own client), value by value. Shares no code with landbridge.

    read_back.py EXPECTED.json LAKE_FOLDER BIGQUERY_URL PROJECT DATASET.TABLE

EXPECTED.json: {"columns": [{"name", "type"}], "rows": [[the server's bytes in hexadecimal digits, or null]]}, the first column the
rows' number. Prints one line of JSON, for each reader the number of values compared and those that differ.
"""

import datetime
import decimal
import glob
import json
import sys

import duckdb
import pyarrow.parquet
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

BYTES = ("binary", "varbinary", "bit", "tinyblob", "blob", "mediumblob", "longblob")
GEOMETRIES = ("geometry", "point", "linestring", "polygon")
INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "year")


def digits(kind):
    inside = kind.split("(")[1].split(")")[0]
    precision, _, scale = inside.partition(",")
    return int(precision), int(scale or 0)


def at_the_source(kind, data):
    """What a MySQL value is, as a value of Python."""
    if data is None:
        return None
    base = kind.split("(")[0].split(" ")[0]
    if kind == "bit(1)":
        return data == b"\x01"
    if base in BYTES or base in GEOMETRIES:
        return data
    text = data.decode("utf-8")
    if base in INTEGERS:
        return int(text)
    if base == "decimal":
        return text if digits(kind)[0] > 38 else decimal.Decimal(text)
    if base in ("float", "double"):
        return float(text)
    if base in ("date", "datetime", "timestamp"):
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            # DMS writes NULL for a date that is none.
            return None
        return moment.date() if base == "date" else moment
    return text


def as_read(value):
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return value


def same(expected, found):
    if type(expected) is bool or type(found) is bool:
        return expected is found
    if isinstance(expected, decimal.Decimal) and isinstance(found, int):
        return False
    if isinstance(expected, int) and isinstance(found, decimal.Decimal):
        return expected == found
    return type(expected) is type(found) and expected == found


def compared(columns, rows, found, without=()):
    different, values = [], 0
    found = sorted(found, key=lambda row: row["id"])
    if len(found) != len(rows):
        different.append("%d rows, not %d" % (len(found), len(rows)))
    for expected, row in zip(rows, found):
        for column, data in zip(columns, expected):
            name, kind = column["name"], column["type"]
            if name in without:
                continue
            values += 1
            value = at_the_source(kind, None if data is None else bytes.fromhex(data))
            if not same(value, as_read(row[name])):
                different.append("%s %s of row %s: %.80r, not %.80r" % (name, kind, row["id"], row[name], value))
    return {"values": values, "different": different[:20]}


def main():
    expected, lake, url, project, table = sys.argv[1:]
    with open(expected) as file:
        expected = json.load(file)
    columns, rows = expected["columns"], expected["rows"]
    files = sorted(glob.glob(lake + "/**/*.parquet", recursive=True))
    arrow = [row for file in files for row in pyarrow.parquet.read_table(file, partitioning=None).to_pylist()]
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    read = duck.execute("SELECT * FROM read_parquet(?, union_by_name = true, hive_partitioning = false)", [files])
    client = bigquery.Client(project=project, credentials=AnonymousCredentials(), client_options=ClientOptions(api_endpoint=url))
    loaded = [dict(row.items()) for row in client.query("SELECT * FROM `%s.%s`" % (project, table)).result()]
    # The stand-in keeps BIGNUMERIC as DECIMAL(38,18).
    narrow = [
        column["name"]
        for column in columns
        if column["type"].startswith("decimal")
        and digits(column["type"])[0] <= 38
        and (digits(column["type"])[1] > 18 or digits(column["type"])[0] - digits(column["type"])[1] > 29)
    ]
    verdict = {
        "pyarrow": compared(columns, rows, arrow),
        "duckdb": compared(columns, rows, read.to_arrow_table().to_pylist()),
        "bigquery": compared(columns, rows, loaded, narrow),
    }
    print(json.dumps(verdict))
    return 0


if __name__ == "__main__":
    sys.exit(main())
