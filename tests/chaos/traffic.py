"""Files as DMS writes them, put into S3 while the process is killed again and again, and the record of what was put."""

import json
import os
import random
import shutil
import subprocess
import threading
import time
import urllib.parse

import pyarrow
import pyarrow.parquet

# A body above 8 MiB goes in pieces: files of so many rows make such bodies.
LARGE_ROWS = 60_000
SMALL_ROWS = 500
# Of a thousand small files.
DAMAGED, CUT, EMPTY, OVERWRITTEN, DELETED = 5, 5, 1, 20, 15
# After this share of the files a column is added.
COLUMN_ADDED_AFTER = 0.5


class Put:
    """One version of an object. `fate`: `loaded`; `poison`; `replaced`, when it was overwritten or deleted soon after its put,
    so that it may also have vanished."""

    def __init__(self, table, key, etag, size, path, rows, fate):
        self.table, self.key, self.etag, self.size, self.path, self.rows, self.fate = table, key, etag, size, path, rows, fate

    def source_file(self):
        return "%s/%s@%s" % (self.table.bucket, self.key, self.etag)

    def announcement(self):
        """The record that S3 sends."""
        thing = {"key": urllib.parse.quote_plus(self.key, safe="/"), "size": self.size, "eTag": self.etag}
        return {
            "eventVersion": "2.5", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "s3": {"bucket": {"name": self.table.bucket}, "object": thing},
        }


class Traffic:
    """`through` is the SQS client of the repeated announcements, which go through the proxy too."""

    def __init__(self, world, through, binary, rows, seed, folder):
        self.world, self.through, self.folder = world, through, folder
        self.random = random.Random("traffic %d" % seed)
        self.puts, self.repeats = [], 0
        self.due = []  # (when, what): replacements and repetitions that are to come.
        self.lock, self.allowed, self.stopped = threading.Condition(), 0, False
        self.error = None
        self.files = self.generate(binary, rows)
        self.random.shuffle(self.files)
        self.next = 0

    def generate(self, binary, rows):
        """Writes all files; half of the rows in large ones when there are enough for some."""
        large = rows // 3 // LARGE_ROWS
        files = []
        for name, count, each in (("large", large * LARGE_ROWS, LARGE_ROWS), ("small", rows - large * LARGE_ROWS, SMALL_ROWS)):
            if not count:
                continue
            place = os.path.join(self.folder, name)
            command = [binary, "demo", "generate", "--dir", place, "--rows", str(count), "--rows-per-file", str(each)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            found = [os.path.join(at, file) for at, _, names in os.walk(place) for file in names if file.endswith(".parquet")]
            files += [(path, min(each, count)) for path in sorted(found)]
        return files

    def run(self):
        """Puts files as they are allowed, until `finish`."""
        try:
            while True:
                with self.lock:
                    self.lock.wait_for(lambda: self.next < self.allowed or self.stopped, timeout=self.until_due())
                    if self.stopped and self.next >= self.allowed and not self.due:
                        return
                    may_put = self.next < self.allowed
                if may_put:
                    self.put_next()
                    time.sleep(self.random.uniform(0, 0.12) if not self.stopped else 0)
                self.do_due()
        except Exception as error:  # Told by `finish`.
            self.error = error

    def until_due(self):
        if not self.due:
            return 1
        return 0 if self.stopped else max(0, min(1, min(when for when, _ in self.due) - time.monotonic()))

    def do_due(self):
        now = time.monotonic()
        ready = [what for when, what in self.due if when <= now or self.stopped]
        self.due = [(when, what) for when, what in self.due if not (when <= now or self.stopped)]
        for what in ready:
            what()

    def allow(self, count):
        with self.lock:
            self.allowed = min(self.allowed + count, len(self.files))
            self.lock.notify()

    def finish(self, thread):
        """Puts all that is left, and does what is due at once."""
        with self.lock:
            self.allowed, self.stopped = len(self.files), True
            self.lock.notify()
        thread.join()
        if self.error:
            raise self.error

    def put_next(self):
        path, rows = self.files[self.next]
        self.next += 1
        table = self.random.choice(self.world.tables)
        key = "%s20251123-%09d.parquet" % (table.prefix, self.next)
        if self.next > COLUMN_ADDED_AFTER * len(self.files) and rows <= SMALL_ROWS and self.random.random() < 0.7:
            add_columns(path, self.next)
        # The kinds come in turn at first, so that a short run has them too.
        chance = self.random.randrange(1000) if self.next > 5 or rows > SMALL_ROWS else {
            1: 0, 2: DAMAGED, 3: DAMAGED + CUT, 4: DAMAGED + CUT + EMPTY, 5: DAMAGED + CUT + EMPTY + OVERWRITTEN}[self.next]
        fates = (("damaged", DAMAGED), ("cut", CUT), ("empty", EMPTY), ("overwritten", OVERWRITTEN), ("deleted", DELETED))
        for fate, share in fates:
            if chance < share and rows <= SMALL_ROWS:
                break
            chance -= share
        else:
            return self.put(table, key, path, rows, "loaded")
        if fate in ("damaged", "cut", "empty"):
            spoil(path, fate)
            return self.put(table, key, path, 0, "poison")
        self.put(table, key, path, rows, "replaced")
        delay = 0 if self.random.random() < 0.4 else self.random.uniform(0.1, 8)
        if fate == "deleted":
            return self.later(delay, lambda: self.world.s3.delete_object(Bucket=table.bucket, Key=key))
        # Another number in the values: no two versions are alike.
        other = path + ".other"
        shutil.copy(path, other)
        add_columns(other, -self.next)
        return self.later(delay, lambda: self.put(table, key, other, rows, "loaded"))

    def later(self, delay, what):
        self.due.append((time.monotonic() + delay, what))

    def put(self, table, key, path, rows, fate):
        with open(path, "rb") as file:
            body = file.read()
        etag = self.world.s3.put_object(Bucket=table.bucket, Key=key, Body=body)["ETag"].strip('"')
        put = Put(table, key, etag, len(body), path, rows, fate)
        self.puts.append(put)
        # Each notification comes again once or twice, soon or when all is done, alone or with another.
        for _ in range(self.random.choice((1, 1, 1, 2))):
            others = [other for other in self.puts[-20:] if other.table.queue == table.queue]
            together = [put] + ([self.random.choice(others)] if self.random.random() < 0.1 else [])
            self.later(self.random.uniform(0, 40), lambda together=together: self.announce(self.through, together))

    def announce(self, sqs, puts):
        self.repeats += 1
        body = json.dumps({"Records": [put.announcement() for put in puts]})
        sqs.send_message(QueueUrl=puts[0].table.queue, MessageBody=body)

    def replay(self, copies):
        """Announces everything again, so many times; straight into the queues."""
        for _ in range(copies):
            for put in self.puts:
                self.announce(self.world.sqs, [put])
                yield


def add_columns(path, number):
    """What a file of a table has that was altered, with values of its own; those of a version before it are replaced."""
    table = pyarrow.parquet.read_table(path)
    table = table.drop_columns([name for name in ("campaign", "score") if name in table.column_names])
    ours = pyarrow.array(["%d-%d" % (number, row) if row % 3 else None for row in range(table.num_rows)])
    halves = pyarrow.array([number * row / 2 for row in range(table.num_rows)], pyarrow.float64())
    table = table.append_column("campaign", ours).append_column("score", halves)
    pyarrow.parquet.write_table(table, path, compression="GZIP", use_dictionary=False, row_group_size=10_000, store_schema=False)


def spoil(path, how):
    """No reader can read it: its pages are damaged, its end is missing, or it is empty."""
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        if how == "damaged":
            file.seek(size // 3)
            file.write(bytes(size // 4))
        else:
            file.truncate(size // 2 if how == "cut" else 0)
