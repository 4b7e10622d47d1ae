# What CI runs is `make check`.

CARGO ?= cargo
# Most of the integration tests wait for processes beside them: two for each core keep it busy.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

.PHONY: demo test check lint fmt docs bench bench-pieces bench-pipeline bench-latency bench-large day sim chaos fuzz clean

# DMS-shaped traffic of 70 tables into a lake for a minute, then a reconciliation of every row.
demo:
	$(CARGO) run --release --quiet -- demo

test:
	$(CARGO) test

lint:
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --test it --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet

check: lint test

fmt:
	$(CARGO) fmt --all

# Writes the pages that are made from code.
docs:
	UPDATE_DOCS=1 $(CARGO) test --lib the_page_is_not_stale

# More seeds for the simulation: make sim SEEDS=2000, or SEEDS=A..B. One seed again: make sim SEEDS=7..8
SEEDS ?= 500
sim:
	SIMULATION_SEEDS=$(SEEDS) $(CARGO) test --release --test it simulation::seeds -- --nocapture

# The real binary behind proxies that break the wires, killed so many times; the last line is `lost N duplicated N`.
# SEED=N repeats the draws of a run, AWS=moto takes another stand-in of AWS. LEDGER=dynamodb with PROCESSES=2 shares a
# ledger; STOPS=N freezes processes for 30 s; LOSSES=N loses the ledger and has it made anew.
KILLS ?= 20
AWS ?= ministack
LEDGER ?= sqlite
PROCESSES ?= 1
STOPS ?= 0
LOSSES ?= 0
chaos:
	tests/chaos/chaos.py --kills $(KILLS) --aws $(AWS) --ledger $(LEDGER) --processes $(PROCESSES) --stops $(STOPS) --losses $(LOSSES) $(if $(SEED),--seed $(SEED))

# Every fuzz target, coverage-guided, for so many seconds each (needs cargo-fuzz): make fuzz SECONDS=600 TARGETS="config key"
SECONDS ?= 60
TARGETS ?=
fuzz:
	fuzz/run.sh $(SECONDS) $(TARGETS)

# Files into one Parquet file, against polars, DuckDB and pyarrow at the same work; the last line is JSON (docs/performance.md).
ROUNDS ?= 5
bench:
	$(CARGO) build --release --quiet
	benches/columns.py --rounds $(ROUNDS)

# The pieces of that, one by one.
bench-pieces:
	$(CARGO) bench --bench pieces

# A day of 70 tables within BigQuery's quotas, and what is compared with it (docs/freshness.md); the last line is JSON.
day:
	$(CARGO) run --release --quiet -- plan --day --draw docs/freshness.svg

# The whole product: rows per CPU-second and peak memory, large files and small (needs /usr/bin/time).
bench-pipeline:
	benches/rows_per_cpu_second.sh

# From S3 put to row queryable on stand-ins of the clouds, at 20 files a second.
bench-latency:
	benches/latency.py

# The peak memory while one object of 2 GiB passes.
bench-large:
	benches/large_object.py

clean:
	$(CARGO) clean
	rm -rf demo-data data
