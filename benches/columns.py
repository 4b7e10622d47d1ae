#!/usr/bin/env python3
"""Measures how DMS's files become one Parquet file: landbridge against polars, DuckDB and pyarrow, at the same work.

    columns.py [--rounds N] [--sets large,mixed,small_plain,small_dictionary] [--keep DIR] [--binary PATH]

The work: all rows of the files, in order; Op, dms_timestamp and dms_change_seq become _op, _committed_at (a moment: the text is
parsed) and _change_seq; _source_file, _source_row, _batch_id and _claimed_at are added; of the mixed set three columns become
another type (BIGINT UNSIGNED a DECIMAL(20,0), milliseconds microseconds, a DECIMAL(38,12) stays one). Zstandard at level 1, one
row group where it fits. Each contestant has one thread and a process of its own for each run; they take turns, and the medians
of all rounds count. CPU seconds are user and system of the process from start to end; an interpreter's own start, with its
imports, is measured apart and taken off. Every output is compared value by value, by pyarrow (and DuckDB reads all of them).
The last line is one JSON object.
"""

import argparse
import glob
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SETS = {
    "large": ["--files", "60", "--rows", "20000"],
    "mixed": ["--files", "60", "--rows", "20000", "--mixed"],
    "small_plain": ["--files", "2400", "--rows", "400"],
    "small_dictionary": ["--files", "2400", "--rows", "400", "--encoding", "dictionary"],
}
PEERS = ("polars", "duckdb", "pyarrow")


def environment():
    """The Python of the peers, made once (tests/emulators/prepare.py)."""
    prepare = os.path.join(HERE, "..", "tests", "emulators", "prepare.py")
    found = subprocess.run([sys.executable, prepare, "bench"], stdout=subprocess.PIPE, check=True, text=True)
    return os.path.join(json.loads(found.stdout)["bench"], "bin", "python")


def limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)


def measured(command, threads=1):
    """Runs a command; gives CPU seconds, wall seconds and peak memory in bytes."""
    names = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "ARROW_NUM_THREADS", "RAYON_NUM_THREADS")
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env=dict(os.environ, **{name: str(threads) for name in names}), preexec_fn=limits
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        if status != 0:
            said.seek(0)
            sys.exit("%s failed:\n%s" % (" ".join(command[:4]), said.read()[-4000:].decode(errors="replace")))
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024


def run_landbridge(binary, files, out):
    return [binary, "compact", "--out", out, "--timestamp", "dms_timestamp", "--sequence", "dms_change_seq", *files]


def size_of(path):
    return os.path.getsize(path)


def race(python, binary, name, folder, work, rounds):
    """All contestants over one set, in turns; gives {contestant: (cpu, wall, peak, bytes)}."""
    files = sorted(glob.glob(os.path.join(folder, "*.parquet")))
    peers = os.path.join(HERE, "columns_peers.py")
    outs = {contestant: os.path.join(work, "%s-%s.parquet" % (name, contestant)) for contestant in ("landbridge", *PEERS)}
    commands = {"landbridge": run_landbridge(binary, files, outs["landbridge"])}
    for peer in PEERS:
        commands[peer] = [python, peers, "run", peer, name, folder, outs[peer]]
    runs = {contestant: [] for contestant in commands}
    start = {peer: [] for peer in PEERS}
    for _ in range(rounds):
        for contestant, command in commands.items():
            runs[contestant].append(measured(command))
        for peer in PEERS:
            start[peer].append(measured([python, peers, "start", peer])[0])
    found = {}
    for contestant, measures in runs.items():
        cpu, wall, peak = (statistics.median(values) for values in zip(*measures))
        cpu -= statistics.median(start[contestant]) if contestant in start else 0
        found[contestant] = (cpu, wall, peak, size_of(outs[contestant]))
    subprocess.run([python, peers, "compare", *(outs[contestant] for contestant in ("polars", "landbridge", "duckdb", "pyarrow"))], check=True)
    groups = subprocess.run([python, peers, "groups", outs["landbridge"]], check=True, stdout=subprocess.PIPE, text=True).stdout
    print("  equal values; landbridge wrote %s row group(s)" % groups.strip(), flush=True)
    return found, len(files)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--keep", help="where the files are, or are to stay")
    parser.add_argument("--binary", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "landbridge"))
    arguments = parser.parse_args()
    python = environment()
    work = arguments.keep or tempfile.mkdtemp(prefix="landbridge-bench-")
    os.makedirs(work, exist_ok=True)
    result, peak = {}, 0
    try:
        for name in arguments.sets.split(","):
            folder = os.path.join(work, name)
            if not os.path.exists(os.path.join(folder, "complete")):
                subprocess.run([python, os.path.join(HERE, "dms_dataset.py"), folder, *SETS[name]], check=True)
                open(os.path.join(folder, "complete"), "w").close()
            rows = 1_200_000 if name in ("large", "mixed") else 960_000
            source = sum(size_of(path) for path in glob.glob(os.path.join(folder, "*.parquet")))
            print("%s: %d rows, %d bytes in files" % (name, rows, source), flush=True)
            found, _ = race(python, arguments.binary, name, folder, work, arguments.rounds)
            own = found["landbridge"]
            for contestant, (cpu, wall, memory, size) in found.items():
                print(
                    "  %-10s %6.2f CPU s (%5.2fx) %6.2f s wall %5d MiB peak %10d bytes (%.3fx)"
                    % (contestant, cpu, cpu / own[0], wall, int(memory) >> 20, size, size / own[3]),
                    flush=True,
                )
            peak = max(peak, int(own[2]))
            result[name] = {"vs_%s" % peer: round(found[peer][0] / own[0], 2) for peer in PEERS}
            result[name]["bytes_vs_polars"] = round(own[3] / found["polars"][3], 3)
            result[name]["rows_per_cpu_second"] = round(rows / own[0])
        result["peak_memory_bytes"] = peak
    finally:
        if not arguments.keep:
            shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
