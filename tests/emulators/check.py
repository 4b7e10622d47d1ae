#!/usr/bin/env python3
"""Compares what is in S3 with what is in BigQuery, value by value. Shares no code with landbridge: objects are read with boto3
and pyarrow, rows with Google's own client.

    check.py --s3 URL --bigquery URL --project P [--timestamp COLUMN] [--sequence COLUMN] [--instant COLUMN]...
             [--not KEY]... [--versions FILE] BUCKET/PREFIX=DATASET.TABLE...

A row is known by `_source_file` (bucket/key@etag) and `_source_row`. Prints one line of JSON: files and rows expected, and up to
20 examples each of what is missing, doubled, different, and foreign (in the table, but of no object of the prefix). Exit code 0
when all is equal, 1 when not, 2 when it could not be compared. `--not` names a key that must not be loaded. `--versions` names
a JSON list of versions that S3 no longer has, `{"source_file", "table", "path"}`, their bytes at `path`: each must be loaded whole
or not at all, and the answer tells which are `absent`.
"""

import argparse
import datetime
import decimal
import io
import json
import math
import sys

import boto3
import pyarrow.parquet
from botocore.config import Config
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

LINEAGE = {"_op", "_committed_at", "_change_seq", "_source_file", "_source_row", "_batch_id", "_claimed_at"}
EXAMPLES = 20


def plain(value):
    """A value without what a file and a warehouse write differently: time zones of instants, trailing zeros."""
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        return value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    if isinstance(value, decimal.Decimal):
        return value.normalize() if value else decimal.Decimal(0)
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, bool):
        return int(value)
    return value


def instant(value):
    """DMS's timestamp column: a timestamp, or its text."""
    if value is None or isinstance(value, datetime.datetime):
        return plain(value)
    try:
        return plain(datetime.datetime.fromisoformat(value))
    except ValueError:
        return None


def expected_rows(s3, bucket, prefix, options):
    files, rows = 0, {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            key = entry["Key"]
            if key in options.without or not key.endswith(".parquet"):
                continue
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            name = "%s/%s@%s" % (bucket, key, entry["ETag"].strip('"'))
            files += 1
            for number, row in enumerate(pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()):
                rows[(name, number)] = row
    return files, rows


def rows_of_versions(versions, table):
    """The rows of a table's versions that may have been loaded before they were replaced."""
    rows = {}
    for version in versions:
        if version["table"] == table:
            for number, row in enumerate(pyarrow.parquet.read_table(version["path"]).to_pylist()):
                rows[(version["source_file"], number)] = row
    return rows


def differences(source, loaded, options):
    source = dict(source)
    found = []
    lineage = {
        "_op": source.pop("Op", None),
        "_committed_at": instant(source.pop(options.timestamp, None)) if options.timestamp else None,
        "_change_seq": (source.pop(options.sequence, None) or None) if options.sequence else None,
    }
    if not options.timestamp:
        del lineage["_committed_at"]
    for name, value in lineage.items():
        if plain(loaded.get(name)) != plain(value):
            found.append("%s: %r, not %r" % (name, loaded.get(name), value))
    by_name = {name.lower(): value for name, value in loaded.items()}
    for name, value in source.items():
        if name.lower() not in by_name:
            found.append("%s is no column of the table" % name)
        elif plain(by_name[name.lower()]) != plain(value):
            found.append("%s: %r, not %r" % (name, by_name[name.lower()], value))
    names = {name.lower() for name in source}
    for name, value in loaded.items():
        if name not in LINEAGE and name.lower() not in names and value is not None:
            found.append("%s: %r, and the file has no such column" % (name, value))
    if loaded.get("_batch_id") is None or loaded.get("_claimed_at") is None:
        found.append("no batch")
    return found


def main():
    arguments = argparse.ArgumentParser()
    for name in ("--s3", "--bigquery", "--project"):
        arguments.add_argument(name, required=True)
    arguments.add_argument("--timestamp")
    arguments.add_argument("--sequence")
    arguments.add_argument("--not", dest="without", action="append", default=[])
    arguments.add_argument("--versions")
    arguments.add_argument("tables", nargs="+")
    options = arguments.parse_args()
    versions = []
    if options.versions:
        with open(options.versions) as file:
            versions = json.load(file)
    s3 = boto3.client(
        "s3", endpoint_url=options.s3, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
        config=Config(s3={"addressing_style": "path"}),
    )
    client = bigquery.Client(
        project=options.project, credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=options.bigquery),
    )
    total = {"files": 0, "rows": 0, "loaded": 0}
    wrong = {"missing": [], "doubled": [], "different": [], "foreign": []}
    absent = []
    for pair in options.tables:
        place, table = pair.rsplit("=", 1)
        bucket, prefix = place.split("/", 1)
        files, rows = expected_rows(s3, bucket, prefix, options)
        total["files"] += files
        total["rows"] += len(rows)
        replaced = rows_of_versions(versions, table)
        rows.update(replaced)
        seen = set()
        if any(item.table_id == table.split(".")[1] for item in client.list_tables(table.split(".")[0])) or rows:
            for row in client.query("SELECT * FROM `%s.%s`" % (options.project, table)).result():
                loaded = dict(row.items())
                identity = (loaded["_source_file"], loaded["_source_row"])
                total["loaded"] += 1
                if identity in seen:
                    wrong["doubled"].append("%s: %s row %s" % ((table,) + identity))
                    continue
                seen.add(identity)
                if identity not in rows:
                    wrong["foreign"].append("%s: %s row %s" % ((table,) + identity))
                    continue
                for text in differences(rows[identity], loaded, options):
                    wrong["different"].append("%s: %s row %s: %s" % ((table,) + identity + (text,)))
        began = {file for file, _ in seen}
        gone = {file for file, _ in replaced if file not in began}
        absent.extend(sorted(gone))
        missing = (identity for identity in rows if identity not in seen and identity[0] not in gone)
        wrong["missing"].extend("%s: %s row %s" % ((table,) + identity) for identity in missing)
    counts = {name: len(found) for name, found in wrong.items()}
    examples = {name: found[:EXAMPLES] for name, found in wrong.items() if found}
    if versions:
        total["absent"] = absent
    print(json.dumps(dict(total, **counts, examples=examples)))
    sys.exit(1 if any(counts.values()) else 0)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # What cannot be compared is not equal.
        print("cannot compare: %s: %s" % (type(error).__name__, error), file=sys.stderr)
        sys.exit(2)
