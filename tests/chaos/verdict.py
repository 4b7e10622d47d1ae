#!/usr/bin/env python3
"""What became of every file of a run, judged without landbridge: `check.py` compares S3 with BigQuery row by row and value by value,
and the ledger must say the same of each file.

    verdict.py FOLDER           judges a run again; its stand-ins must still be running

Last line: `lost N duplicated N`, in rows. Exit code 0 only when both are 0 and nothing else is wrong.
"""

import collections
import json
import os
import subprocess
import sys

from ledgers import reopened, states
from world import PROJECT

HERE = os.path.dirname(os.path.abspath(__file__))
CHECK = os.path.join(os.path.dirname(HERE), "emulators", "check.py")
EXAMPLES = 10
ANEW = (("vanished", []), ("loaded", ["loaded", "vanished"]))


class Verdict:
    def __init__(self):
        self.lost, self.duplicated, self.wrong = 0, 0, []
        self.files, self.rows = {}, 0

    def tell(self):
        """Prints the verdict; answers the exit code."""
        for text in self.wrong:
            print("WRONG: " + text)
        print("lost %d duplicated %d" % (self.lost, self.duplicated), flush=True)
        return 1 if self.lost or self.duplicated or self.wrong else 0


def record(folder, places, world, puts, losses):
    """Writes down what is needed to judge."""
    tables = [{"bucket": table.bucket, "prefix": table.prefix, "destination": table.destination} for table in world.tables]
    entries = [
        {"source_file": put.source_file(), "table": put.table.destination, "key": put.key, "path": put.path, "fate": put.fate,
         "rows": put.rows}
        for put in puts
    ]
    with open(os.path.join(folder, "record.json"), "w") as file:
        json.dump({"places": places, "tables": tables, "puts": entries, "ledger": world.ledger.recorded(), "losses": losses}, file)


def judge(folder):
    with open(os.path.join(folder, "record.json")) as file:
        recorded = json.load(file)
    verdict, puts = Verdict(), recorded["puts"]
    versions = os.path.join(folder, "versions.json")
    with open(versions, "w") as file:
        json.dump([put for put in puts if put["fate"] == "replaced"], file)
    command = [sys.executable, CHECK, "--s3", recorded["places"]["aws"], "--bigquery", recorded["places"]["bigquery"]]
    command += ["--project", PROJECT, "--timestamp", "dms_timestamp", "--sequence", "dms_change_seq", "--versions", versions]
    for put in puts:
        if put["fate"] == "poison":
            command += ["--not", put["key"]]
    command += ["%(bucket)s/%(prefix)s=%(destination)s" % table for table in recorded["tables"]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 1):
        verdict.wrong.append("the check could not be made")
        return verdict
    checked = json.loads(done.stdout)
    verdict.lost, verdict.duplicated = checked["missing"], checked["doubled"]
    verdict.rows = checked["loaded"]
    for kind in ("different", "foreign"):
        if checked[kind]:
            verdict.wrong.append("%d rows are %s" % (checked[kind], kind))
    for kind, examples in checked["examples"].items():
        print("%s, for example:\n    %s" % (kind, "\n    ".join(examples[:EXAMPLES])))
    compare_with_ledger(verdict, puts, set(checked["absent"]), recorded)
    if checked["files"] != sum(put["fate"] == "loaded" for put in puts):
        verdict.wrong.append("S3 has %d files that are to be loaded, %d were put" % (
            checked["files"], sum(put["fate"] == "loaded" for put in puts)))
    return verdict


def compare_with_ledger(verdict, puts, absent, recorded):
    """What was not loaded must be vanished or poison, by the ledger too; nothing is lost in silence. A ledger that was made anew need
    not know of what vanished before, and does not know the size of what was loaded and is gone: announced again, that is vanished too."""
    known, count = states(reopened(recorded["ledger"])), collections.Counter()
    wrong = []
    for put in puts:
        name = put["source_file"]
        wanted = {"loaded": "loaded", "poison": "poison"}.get(put["fate"], "vanished" if name in absent else "loaded")
        found = known.pop(name, [])
        count[wanted] += 1
        if found != [wanted] and not (recorded["losses"] and (wanted, sorted(found)) in ANEW):
            wrong.append("%s is %s, and the ledger says %s" % (name, wanted, " and ".join(found) or "nothing"))
    wrong += ["the ledger has %s, which was never put" % name for name in known]
    verdict.files = dict(count)
    verdict.wrong += wrong[:EXAMPLES] + (["and %d more such files" % (len(wrong) - EXAMPLES)] if len(wrong) > EXAMPLES else [])


if __name__ == "__main__":
    sys.exit(judge(sys.argv[1]).tell())
