#!/usr/bin/env bash
# Runs fuzz targets under libFuzzer, each for so many seconds, on one core: `fuzz/run.sh SECONDS [TARGET]...`
# Prints the executions of each; last `no crash`, or what was found and how to repeat it. Inputs that reach new code are
# kept in fuzz/found (not in the repository), and the next run begins with them.
set -euo pipefail
cd "$(dirname "$0")"
each="${1:?how many seconds a target}"
shift
if [ $# -eq 0 ]; then
    mapfile -t names < <(ls corpus)
    set -- "${names[@]}"
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2
    exit 2
fi
# No sanitizer: landbridge has no unsafe code, and with one a nightly toolchain would be needed.
build="${CARGO_TARGET_DIR:-$PWD/target}"
cargo fuzz build --sanitizer none --codegen-units 16 --target-dir "$build" any
binary="$build/$(rustc -vV | sed -n 's/^host: //p')/release/any"

crashed=0
for name in "$@"; do
    mkdir -p "found/$name" "artifacts/$name"
    log="artifacts/$name.log"
    # An input of some kilobytes may take 20 s and 2.5 GB; any.rs bounds what is allocated more narrowly.
    status=0
    LANDBRIDGE_FUZZ_TARGET="$name" nice -n "${FUZZ_NICE:-10}" "$binary" \
        -max_total_time="$each" -timeout=20 -rss_limit_mb=2560 -max_len=8192 -print_final_stats=1 \
        -artifact_prefix="artifacts/$name/" "found/$name" "corpus/$name" >"$log" 2>&1 || status=$?
    runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    covered="$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)"
    printf '%-16s %12s executions in %s s, %s places reached\n' "$name" "${runs:-0}" "$each" "${covered:-0}"
    sed -n 's/^a library panics over a file.*registry.src.[^/]*./    a library panics, contained: /p' "$log" | sort -u
    if [ "$status" -ne 0 ]; then
        crashed=1
        grep -m 5 -E 'panicked at|ERROR|SUMMARY|Test unit written' "$log" | sed 's/^/    /' || true
        echo "    repeat: LANDBRIDGE_FUZZ_TARGET=$name $binary fuzz/artifacts/$name/crash-…"
    fi
done
if [ "$crashed" -ne 0 ]; then
    echo "crashed"
    exit 1
fi
echo "no crash"
