#!/usr/bin/env bash
# Rows per CPU-second (user + system) and peak memory of `landbridge run --until-idle`: 4,000,000 rows in files of
# 20,000, and 400,000 rows in files of 400. Needs GNU time.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet
landbridge=target/release/landbridge
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

measure() {
    local rows=$1 per_file=$2 dir="$work/$2"
    "$landbridge" demo generate --dir "$dir" --rows "$rows" --rows-per-file "$per_file" >/dev/null
    /usr/bin/time -f '%U %S %M' -o "$work/time" "$landbridge" run --config "$dir/landbridge.toml" --until-idle 2>/dev/null
    awk -v rows="$rows" -v per_file="$per_file" \
        '{ printf "%d rows, %d a file: %d rows per CPU-second, %d MiB peak\n", rows, per_file, rows / ($1 + $2), $3 / 1024 }' \
        "$work/time"
}

measure 4000000 20000
measure 400000 400
