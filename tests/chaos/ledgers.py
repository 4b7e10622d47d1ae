"""landbridge's ledger as a stranger reads it: a SQLite file, or a table of DynamoDB."""

import collections
import json
import os
import sqlite3

import pyarrow

HOMES = {0: "in a batch", 1: "poison", 2: "vanished", 3: "deferred", 4: "poison"}
LOADED, ABANDONED = 2, 3


class Sqlite:
    def __init__(self, path):
        self.path = path

    def recorded(self):
        return {"sqlite": self.path}

    def setting(self):
        return 'path = "%s"\nvolume = "durable"' % self.path

    def loose(self):
        """Home and identity of the files that are in no batch."""
        for home, identity in self.query("SELECT home, identity FROM files WHERE home <> 0"):
            yield home, json.loads(identity)

    def batches(self):
        """State and manifest of the batches."""
        for state, manifest in self.query("SELECT state, manifest FROM batches"):
            yield state, json.loads(manifest)

    def counts(self):
        """What must not change when all is final."""
        return {statement: self.query(statement) for statement in (
            "SELECT home, count(*) FROM files GROUP BY 1 ORDER BY 1", "SELECT state, count(*) FROM batches GROUP BY 1 ORDER BY 1",
            "SELECT outcome, count(*) FROM attempts GROUP BY 1 ORDER BY 1",
        )}

    def lose(self):
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.path + suffix):
                os.remove(self.path + suffix)

    def query(self, statement):
        """Another process may have it open."""
        connection = sqlite3.connect(self.path, timeout=30)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


class DynamoDb:
    def __init__(self, endpoint, table):
        from world import aws

        self.endpoint, self.table = endpoint, table
        self.client = aws("dynamodb", endpoint)

    def recorded(self):
        return {"dynamodb": [self.endpoint, self.table]}

    def setting(self):
        return 'kind = "dynamodb"\ntable = "%s"' % self.table

    def items(self):
        pages = self.client.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def loose(self):
        for item in self.items():
            if "f_identity" in item:
                yield int(item["f_home"]["N"]), json.loads(item["f_identity"]["S"])

    def batches(self):
        items = self.items()
        manifests = {item["pk"]["S"]: item["b_manifest"]["B"] for item in items if "b_manifest" in item}
        for item in items:
            if "b_state" in item:
                stored = pyarrow.input_stream(pyarrow.BufferReader(manifests[item["pk"]["S"]]), compression="zstd").read()
                yield int(item["b_state"]["N"]), json.loads(stored)

    def lose(self):
        for item in self.items():
            self.client.delete_item(TableName=self.table, Key={"pk": item["pk"], "sk": item["sk"]})

    def counts(self):
        items = self.items()
        return {name: sorted(collections.Counter(item[name]["N"] for item in items if name in item).items())
                for name in ("f_home", "b_state", "a_outcome")}


def reopened(recorded):
    return Sqlite(recorded["sqlite"]) if "sqlite" in recorded else DynamoDb(*recorded["dynamodb"])


def states(ledger):
    """Each file's state, and the files that have more than one."""
    found = collections.defaultdict(list)
    for home, file in ledger.loose():
        found["%s/%s@%s" % (file["bucket"], file["key"], file["etag"])].append(HOMES.get(home, str(home)))
    for state, manifest in ledger.batches():
        if state != ABANDONED:
            for bucket, key, etag, _, _ in manifest:
                found["%s/%s@%s" % (bucket, key, etag)].append("loaded" if state == LOADED else "claimed")
    return found
