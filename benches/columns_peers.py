"""The peers of `columns.py`, each as its best user would write it, and the comparison of all outputs.

    columns_peers.py run PEER SET FOLDER OUT | start PEER | compare FIRST OTHER... | groups FILE
"""

import glob
import os
import sys

CLAIMED_AT = 1_763_856_000_000_000
BATCH = "b-00000000000000000000"
ROW_GROUP = 1 << 20


def source_file(path):
    return "local/%s@etag" % os.path.basename(path)


def files_of(folder):
    return sorted(glob.glob(os.path.join(folder, "*.parquet")))


def run_polars(name, files, out):
    import polars as pl

    # One scan of all files: a plan of thousands takes longer than the work. Row numbers count from each file's first row.
    frame = pl.scan_parquet(files, include_file_paths="path", row_index_name="row")
    columns = [column for column in frame.collect_schema().names() if column not in ("Op", "dms_timestamp", "dms_change_seq", "path", "row")]
    own = [pl.col(column) for column in columns]
    if name == "mixed":
        cast = {"ledger_id": pl.Decimal(20, 0), "created_at": pl.Datetime("us"), "balance": pl.Decimal(38, 12)}
        own = [pl.col(column).cast(cast[column]) if column in cast else pl.col(column) for column in columns]
    rows = 20_000 if name in ("large", "mixed") else 400
    lineage = [
        pl.col("Op").alias("_op"),
        pl.col("dms_timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S%.6f", time_unit="us", time_zone="UTC").alias("_committed_at"),
        pl.col("dms_change_seq").alias("_change_seq"),
        pl.col("path").alias("_source_file"),
        # Every file has as many rows: cheaper than numbers over groups.
        (pl.col("row") % rows).cast(pl.Int64).alias("_source_row"),
        pl.lit(BATCH).alias("_batch_id"),
        pl.lit(CLAIMED_AT).cast(pl.Datetime("us", "UTC")).alias("_claimed_at"),
    ]
    options = {"compression": "zstd", "compression_level": 1, "statistics": False, "row_group_size": ROW_GROUP}
    frame.select(own + lineage).collect().write_parquet(out, **options)


def run_duckdb(name, files, out):
    import duckdb

    database = duckdb.connect()
    database.execute("SET threads TO 1; SET preserve_insertion_order TO true; SET TimeZone TO 'UTC'")
    cast = ""
    if name == "mixed":
        cast = ", ledger_id::DECIMAL(20,0) AS ledger_id, created_at::TIMESTAMP AS created_at, balance::DECIMAL(38,12) AS balance"
    replaced = "REPLACE (%s)" % cast[2:] if cast else ""
    database.execute(
        """COPY (SELECT * EXCLUDE (Op, dms_timestamp, dms_change_seq, filename, file_row_number) %s,
               Op AS _op, dms_timestamp::TIMESTAMP::TIMESTAMPTZ AS _committed_at, dms_change_seq AS _change_seq,
               filename AS _source_file, file_row_number AS _source_row, '%s' AS _batch_id,
               make_timestamptz(%d) AS _claimed_at
           FROM read_parquet(?, filename = true, file_row_number = true))
           TO '%s' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE %d)"""
        % (replaced, BATCH, CLAIMED_AT, out, ROW_GROUP),
        [files],
    )


def run_pyarrow(name, files, out):
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    instant = pa.timestamp("us", "UTC")
    held, tables, writer = 0, [], None

    def write():
        nonlocal held, tables, writer
        table = pa.concat_tables(tables)
        if writer is None:
            writer = pq.ParquetWriter(
                out, table.schema, compression="zstd", compression_level=1, write_statistics=False, store_schema=False,
                use_dictionary=["_source_file", "_batch_id", "_claimed_at", "_op", "currency", "device", "status", "game_id"],
            )
        writer.write_table(table, row_group_size=ROW_GROUP)
        held, tables = 0, []

    for path in files:
        table = pq.read_table(path, use_threads=False, partitioning=None)
        rows = table.num_rows
        lineage = {
            "_op": table["Op"],
            "_committed_at": pc.assume_timezone(table["dms_timestamp"].cast(pa.timestamp("us")), "UTC"),
            "_change_seq": table["dms_change_seq"],
            "_source_file": pa.repeat(source_file(path), rows),
            "_source_row": pa.array(np.arange(rows)),
            "_batch_id": pa.repeat(BATCH, rows),
            "_claimed_at": pa.repeat(pa.scalar(CLAIMED_AT, instant), rows),
        }
        table = table.drop_columns(["Op", "dms_timestamp", "dms_change_seq"])
        if name == "mixed":
            for column, kind in (("ledger_id", pa.decimal128(20, 0)), ("created_at", pa.timestamp("us")), ("balance", pa.decimal128(38, 12))):
                table = table.set_column(table.schema.get_field_index(column), column, table[column].cast(kind))
        for column, values in lineage.items():
            table = table.append_column(column, values)
        if held + rows > ROW_GROUP:
            write()
        tables.append(table)
        held += rows
    write()
    writer.close()


def compare(paths):
    """All files must hold the same values, row by row. Which file and batch they name is each contestant's own affair, but must
    change where the others' changes."""
    import duckdb
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    first = pq.ParquetFile(paths[0])
    names = first.schema_arrow.names
    for path in paths[1:]:
        other = pq.ParquetFile(path)
        if other.schema_arrow.names != names or other.metadata.num_rows != first.metadata.num_rows:
            sys.exit("%s has other columns or rows than %s" % (path, paths[0]))
        for name in names:
            left, right = (pq.read_table(one, columns=[name])[name].combine_chunks() for one in (paths[0], path))
            if name in ("_batch_id", "_claimed_at"):
                same = right.null_count == 0 and len(pc.unique(right)) == 1
            elif name == "_source_file":
                numbers = [pc.dictionary_encode(side.cast(pa.string())).indices for side in (left, right)]
                same = numbers[0].equals(numbers[1]) and right.null_count == 0
            else:
                kind = left.type
                if pa.types.is_timestamp(kind) and kind.tz is None:
                    kind = pa.timestamp("us")
                elif pa.types.is_timestamp(kind):
                    kind = pa.timestamp("us", "UTC")
                elif pa.types.is_integer(kind):
                    kind = pa.int64()
                elif pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
                    kind = pa.large_string()
                left, right = left.cast(kind), right.cast(kind)
                right.validate(full=True)
                same = left.equals(right)
            if not same:
                sys.exit("column %s of %s is not that of %s" % (name, path, paths[0]))
        # A second reader, through every page.
        counted = duckdb.sql("SELECT %s FROM read_parquet('%s')" % (", ".join('count("%s"), max("%s")' % (n, n) for n in names), path)).fetchall()[0]
        if counted[names.index("_source_row") * 2] != first.metadata.num_rows:
            sys.exit("DuckDB does not find all rows of %s" % path)


def main():
    deed, rest = sys.argv[1], sys.argv[2:]
    if deed == "start":
        __import__(rest[0])
        if rest[0] == "pyarrow":
            import pyarrow.compute
            import pyarrow.parquet  # noqa: F401
    elif deed == "compare":
        compare(rest)
    elif deed == "groups":
        import pyarrow.parquet as pq

        print(pq.ParquetFile(rest[0]).metadata.num_row_groups)
    else:
        {"polars": run_polars, "duckdb": run_duckdb, "pyarrow": run_pyarrow}[rest[0]](rest[1], files_of(rest[2]), rest[3])


if __name__ == "__main__":
    main()
