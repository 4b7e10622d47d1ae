#!/usr/bin/env python3
"""Writes expected.json: what another reader (pyarrow, which shares no code with landbridge's) finds in the files beside it.

    expected.py        (pyarrow 26.0.1, as in tests/emulators/requirements-check.txt)

Of each file that pyarrow reads and whose columns are all flat: its rows, and for each column its name, its nulls, its first
values and a digest of all of them, as texts that no other value has.
"""

import hashlib
import json
import pathlib
import struct

import pyarrow
import pyarrow.parquet

FIRST = 3


def text(value, kind):
    if pyarrow.types.is_uint64(kind):
        return f"{value}e-0"
    if pyarrow.types.is_integer(kind):
        return str(value)
    if pyarrow.types.is_decimal(kind):
        return f"{int(value.scaleb(kind.scale))}e-{kind.scale}"
    if pyarrow.types.is_string(kind):
        return value
    if pyarrow.types.is_binary(kind) or pyarrow.types.is_fixed_size_binary(kind):
        return "[" + ", ".join(str(byte) for byte in value) + "]"
    if pyarrow.types.is_boolean(kind):
        return "true" if value else "false"
    if pyarrow.types.is_floating(kind):
        return f"{struct.unpack('<Q', struct.pack('<d', value))[0]:x}"
    raise ValueError(f"no text for a value of type {kind}")


def column(name, values, kind):
    digest, texts = hashlib.sha256(), []
    for value in values:
        texts.append(None if value is None else text(value, kind))
        if value is None:
            digest.update(b"null")
        else:
            encoded = texts[-1].encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return {"name": name, "nulls": texts.count(None), "first": texts[:FIRST], "sha256": digest.hexdigest()}


def of_file(path):
    table = pyarrow.parquet.ParquetFile(path).read()
    columns = [
        column(field.name, table.column(position).to_pylist(), field.type) for position, field in enumerate(table.schema)
    ]
    return {"rows": table.num_rows, "columns": columns}


def main():
    folder, found = pathlib.Path(__file__).parent, {}
    for path in sorted(folder.glob("*/*.parquet*")):
        name = str(path.relative_to(folder))
        try:
            found[name] = of_file(path)
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            print(f"{name}: {str(error).splitlines()[0]}")
    (folder / "expected.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(found)} files")


main()
