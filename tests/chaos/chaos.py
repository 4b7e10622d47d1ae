#!/usr/bin/env python3
"""landbridge under kill -9 and hostile wires: is every row in the warehouse once?

    make chaos KILLS=200 [SEED=1] [AWS=ministack|moto] [LEDGER=sqlite|dynamodb] [PROCESSES=1] [STOPS=0] [LOSSES=0]

The real binary runs against stand-ins of the clouds, behind proxies that break what can be broken on a wire, and is killed again and
again while files come in; with a ledger in DynamoDB several processes live and die beside each other, and are frozen in the midst of
what they do. LOSSES times its ledger is lost after a kill, and made anew by `landbridge ledger rebuild`. Then the faults stop, it comes to its end, and `verdict.py` judges what is in BigQuery; then every
notification comes again, three times, and once more to a process that remembers nothing, and nothing may change.

Last line: `lost N duplicated N`, in rows. Exit code 0 only when both are 0 and nothing else is wrong.
"""

import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EMULATORS = os.path.join(ROOT, "tests", "emulators")
# So many rows a kill, and never fewer than these.
ROWS_PER_KILL, ROWS_MIN = 11_000, 20_000
# Messages that wait in all queues before no more files are put: the stand-ins walk their queues as lists.
BACKLOG = {"ministack": 3_000, "moto": 250}
# How long nothing at all may move before it is a fault.
PATIENCE_SECONDS = 240
# One long life of so many finds the quota of load jobs used up.
QUOTA_EVERY = 60


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--seed", type=int)
    arguments.add_argument("--aws", choices=("ministack", "moto"), default="ministack")
    arguments.add_argument("--ledger", choices=("sqlite", "dynamodb"), default="sqlite")
    arguments.add_argument("--processes", type=int, default=1, help="beside each other, on one ledger in DynamoDB")
    arguments.add_argument("--stops", type=int, default=0, help="lives that are frozen, beyond what the seed draws")
    arguments.add_argument("--stop-seconds", type=int, default=30, help="for how long")
    arguments.add_argument("--losses", type=int, default=0, help="times that the ledger is lost and made anew, of one process")
    arguments.add_argument("--rows", type=int, help="rows in all; default: by the kills")
    arguments.add_argument("--clusters", type=int, default=3)
    arguments.add_argument("--tables", type=int, default=4, help="tables of each cluster")
    arguments.add_argument("--binary", help="landbridge; default: the release build, which is made")
    arguments.add_argument("--folder", help="where all is kept; default: a temporary folder, removed when nothing is wrong")
    arguments.add_argument("--stand-ins", help="JSON of stand-ins that run already, as serve.py prints it")
    arguments.add_argument("--inside", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.processes > 1 and options.ledger == "sqlite":
        arguments.error("a ledger in SQLite is for one process")
    if options.processes > 1 and options.losses:
        arguments.error("a ledger is lost once all its processes are stopped: with one")
    if options.inside:
        sys.exit(run(options, json.loads(options.inside)))
    sys.exit(around(options))


def around(options):
    """Builds, starts the stand-ins, and runs this script again in the environment of the check."""
    if not options.binary:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    prepare = [sys.executable, os.path.join(EMULATORS, "prepare.py"), "check", "chaos"]
    prepared = json.loads(subprocess.run(prepare, stdout=subprocess.PIPE, check=True).stdout)
    emulators, places = None, options.stand_ins and json.loads(options.stand_ins)
    if not places:
        serve = [sys.executable, os.path.join(EMULATORS, "serve.py")] + (["moto"] if options.aws == "moto" else [])
        emulators = subprocess.Popen(serve, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = emulators.stdout.readline()
        if not line:
            sys.exit("the stand-ins did not start")
        places = json.loads(line)
    places["microburst"] = os.path.join(prepared["chaos"], "bin", "python")
    python = os.path.join(prepared["check"], "bin", "python")
    try:
        return subprocess.run([python, os.path.abspath(__file__)] + sys.argv[1:] + ["--inside", json.dumps(places)]).returncode
    finally:
        if emulators:
            emulators.stdin.close()
            emulators.wait()


def run(options, places):
    from weather import Weather

    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    folder = os.path.abspath(options.folder) if options.folder else tempfile.mkdtemp(prefix="landbridge-chaos-")
    os.makedirs(folder, exist_ok=True)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    options.binary = os.path.abspath(options.binary or os.path.join(target, "release", "landbridge"))
    options.rows = options.rows or max(ROWS_MIN, ROWS_PER_KILL * options.kills)
    print("KILLS=%d SEED=%d AWS=%s LEDGER=%s PROCESSES=%d STOPS=%d LOSSES=%d, %d rows; all of it is in %s" % (
        options.kills, seed, options.aws, options.ledger, options.processes, options.stops, options.losses, options.rows, folder))
    began = time.monotonic()
    weather = Weather(places, places["microburst"], seed, folder, options.ledger == "dynamodb")
    try:
        verdict = play(options, places, seed, folder, weather)
    finally:
        weather.stop()
    print("%.0f s in all" % (time.monotonic() - began))
    code = verdict.tell()
    if code == 0 and not options.folder:
        shutil.rmtree(folder)
    return code


def play(options, places, seed, folder, weather):
    from serve import free_port

    from ledgers import DynamoDb, Sqlite
    from life import Life
    from traffic import Traffic
    from verdict import judge, record
    from world import SCHEMA, World, aws

    name = "x%dx%d" % (os.getpid(), seed)
    sqlite = Sqlite(os.path.join(folder, "ledger.db"))
    ledger = DynamoDb(places["aws"], "ledger-" + name) if options.ledger == "dynamodb" else sqlite
    world = World(name, places, options.clusters, options.tables, ledger)
    world.warm_up(weather)
    lives = []
    for number in range(options.processes):
        port = free_port()
        config, draws = world.configure(folder, weather, port, number), random.Random("lives %d %d" % (seed, number))
        lives.append(Life(number, options.binary, config, "http://127.0.0.1:%d" % port, weather, draws, options.stop_seconds))
    traffic = Traffic(world, aws("sqs", weather.aws), options.binary, options.rows, seed, folder)
    print("%d files are ready" % len(traffic.files), flush=True)
    thread = threading.Thread(target=traffic.run, daemon=True)
    thread.start()
    put_in_time = Kills(options, world, weather, lives, traffic).all()
    tell_lives(lives, traffic, put_in_time)
    weather.clear()
    traffic.finish(thread)
    start(lives)
    world.until_final(lives, PATIENCE_SECONDS)
    if options.losses:
        # A listing does not tell a copy from another content: of objects that were replaced somebody says what they are.
        for table in world.tables:
            lives[0].redrive("%s/%s.%s" % (table.cluster, SCHEMA, table.name))
        world.until_final(lives, PATIENCE_SECONDS)
    weather.release()
    record(folder, places, world, traffic.puts, options.losses)
    print("all is final; comparing", flush=True)
    verdict = judge(folder)
    tell_files(verdict, traffic)
    tell_faults(weather)
    # A file that vanished before its ledger was lost is not known to have vanished: it is seen to be gone once more.
    before = world.snapshot(not options.losses)
    replay(options, world, lives, traffic)
    after = world.snapshot(not options.losses)
    if before != after:
        changes = ["%s: %s, then %s" % (name, before[name], after[name]) for name in before if before[name] != after[name]]
        verdict = judge(folder)
        verdict.wrong.append("the notifications came again, and that changed:\n    " + "\n    ".join(changes))
    for life in lives:
        life.terminate()
        verdict.wrong += life.faults + ["a panic: " + line for line in life.panics()[:5]]
    return verdict


def start(lives):
    for life in lives:
        life.start()
    for life in lives:
        life.until_ready()


class Kills:
    """Each process lives and is killed by a thread of its own; the first makes the weather too."""

    def __init__(self, options, world, weather, lives, traffic):
        self.options, self.world, self.weather, self.lives, self.traffic = options, world, weather, lives, traffic
        self.per_kill = len(traffic.files) / options.kills
        self.stops, self.number, self.lost, self.lock, self.error = options.stops, 0, 0, threading.Lock(), None

    def all(self):
        """Answers how many files were put by the last kill."""
        threads = [threading.Thread(target=self.guarded, args=(life,)) for life in self.lives]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.error:
            raise self.error
        return self.traffic.next

    def guarded(self, life):
        try:
            while self.kills() < self.options.kills or self.stops > 0:
                self.one(life)
                if self.error or self.traffic.error:
                    raise self.error or self.traffic.error
        except Exception as error:  # Told by `all`.
            self.error = self.error or error

    def kills(self):
        return sum(life.kills() for life in self.lives)

    def one(self, life):
        with self.lock:
            number, self.number = self.number, self.number + 1
            quota = life.number == 0 and number % QUOTA_EVERY == QUOTA_EVERY // 2
            frozen = not quota and self.stops > 0 and number % 3 == 2
            self.stops -= frozen
        if life.number == 0:
            self.weather.quota_is_used_up() if quota else self.weather.change()
        backlog = self.world.waiting()
        if backlog < BACKLOG[self.options.aws]:
            self.traffic.allow(int(self.per_kill * (self.kills() + 1)) - self.traffic.allowed)
        life.live("long" if quota else "frozen" if frozen else life.draw(number))
        every = max(self.options.kills // (self.options.losses + 1), 1)
        if self.lost < self.options.losses and self.kills() >= every * (self.lost + 1):
            self.lost += 1
            self.world.ledger.lose()
            life.rebuild()
        if number % 20 == 19:
            print("%d lives, %d kills, %d files put, %d messages wait" % (
                number + 1, self.kills(), self.traffic.next, backlog), flush=True)


def replay(options, world, lives, traffic):
    """Every notification, three times, to the processes that loaded the last of them; then once more to some that remember nothing
    but what their ledger says."""
    for copies in (3, 1):
        for number, _ in enumerate(traffic.replay(copies)):
            if number % 100 == 99:
                while world.waiting() > BACKLOG[options.aws]:
                    for life in lives:
                        life.must_run()
                    time.sleep(0.2)
        world.until_final(lives, PATIENCE_SECONDS)
        if copies > 1:
            for life in lives:
                life.terminate()
            start(lives)
    print("every notification came again, four times", flush=True)


def tell_lives(lives, traffic, put_in_time):
    counts = sum((life.ends for life in lives), collections.Counter())
    ends = ", ".join("%d %s" % (count, how) for how, count in sorted(counts.items()))
    total, seconds = sum(counts.values()), sum(life.seconds for life in lives)
    print("%d lives of %.1f s on average: %s" % (total, seconds / max(total, 1), ends))
    print("%d of %d files were put while it was killed, and %d announcements repeated" % (
        put_in_time, len(traffic.files), traffic.repeats), flush=True)


def tell_files(verdict, traffic):
    replaced = sum(put.fate == "replaced" for put in traffic.puts)
    outcomes = ", ".join("%d %s" % (count, what) for what, count in sorted(verdict.files.items()))
    print("%d files (%d of them replaced soon): %s; %d rows in the warehouse" % (
        len(traffic.puts), replaced, outcomes, verdict.rows))


def tell_faults(weather):
    for cloud, counts in zip(("AWS", "BigQuery"), weather.count()):
        print("faults of %s: %s" % (cloud, ", ".join("%s %d" % pair for pair in sorted(counts.items()) if pair[1])))
        never = [kind for kind, count in sorted(counts.items()) if not count]
        if never:
            print("    NEVER: " + ", ".join(never))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
