"""The faults: microburst before AWS, `bigquery_faults.py` before BigQuery, and what they do when, drawn from the seed.

Each life of the process has its own weather: some kinds of fault, each more or less likely. The seed decides every draw; which
request a draw befalls is a matter of timing, so that two runs of one seed are alike and not the same.
"""

import collections
import json
import os
import random
import subprocess
import sys
import time
import urllib.error
import urllib.request

import bigquery_faults

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS = 60
CALL_SECONDS = 120
LOST = {"response": {"abort_bytes": 0}}  # The call was applied, and its answer never arrives.


def refused(code, status):
    return {"error": {"code": code, "status": status}}


# Kind: operation, what microburst does, and how likely it is in ordinary weather.
AWS = {
    "s3-get-SlowDown": ("GetObject", refused("SlowDown", 503), 0.04),
    "s3-get-500": ("GetObject", refused("InternalError", 500), 0.02),
    "s3-get-503": ("GetObject", refused("ServiceUnavailable", 503), 0.02),
    "s3-get-expired-token": ("GetObject", refused("ExpiredToken", 400), 0.02),
    "s3-get-reset": ("GetObject", {"reset": True}, 0.02),
    "s3-get-reply-lost": ("GetObject", LOST, 0.02),
    "s3-get-body-cut": ("GetObject", {"response": {"abort_frac": 0.6}}, 0.03),
    "s3-get-body-short": ("GetObject", {"response": {"truncate_frac": 0.6}}, 0.02),
    "s3-get-body-corrupt": ("GetObject", {"response": {"corrupt_bytes": 3}}, 0.03),
    "s3-get-slow": ("GetObject", {"latency": {"min": 100, "max": 1200}}, 0.08),
    "s3-get-hang": ("GetObject", {"timeout_ms": 40000}, 0.004),
    "sqs-receive-throttled": ("ReceiveMessage", refused("RequestThrottled", 403), 0.03),
    "sqs-receive-OverLimit": ("ReceiveMessage", refused("OverLimit", 403), 0.02),
    "sqs-receive-500": ("ReceiveMessage", refused("InternalError", 500), 0.02),
    "sqs-receive-503": ("ReceiveMessage", refused("ServiceUnavailable", 503), 0.02),
    "sqs-receive-expired-token": ("ReceiveMessage", refused("ExpiredTokenException", 400), 0.01),
    "sqs-receive-reset": ("ReceiveMessage", {"reset": True}, 0.03),
    "sqs-receive-reply-lost": ("ReceiveMessage", LOST, 0.05),
    "sqs-receive-body-short": ("ReceiveMessage", {"response": {"truncate_frac": 0.7}}, 0.02),
    "sqs-receive-hang": ("ReceiveMessage", {"timeout_ms": 40000}, 0.004),
    "sqs-delete-500": ("DeleteMessageBatch", refused("InternalError", 500), 0.05),
    "sqs-delete-reset": ("DeleteMessageBatch", {"reset": True}, 0.05),
    "sqs-delete-reply-lost": ("DeleteMessageBatch", LOST, 0.1),
    "sqs-delete-slow": ("DeleteMessageBatch", {"latency": {"min": 200, "max": 2000}}, 0.1),
    "sqs-visibility-500": ("ChangeMessageVisibilityBatch", refused("InternalError", 500), 0.15),
    "sqs-visibility-reply-lost": ("ChangeMessageVisibilityBatch", LOST, 0.2),
    "sqs-visibility-reset": ("ChangeMessageVisibilityBatch", {"reset": True}, 0.1),
    "sqs-send-reply-lost": ("SendMessage", LOST, 0.05),
}
# The same for a ledger in DynamoDB.
DYNAMODB = {
    "ddb-write-reply-lost": ("TransactWriteItems", LOST, 0.03),
    "ddb-write-500": ("TransactWriteItems", refused("InternalServerError", 500), 0.03),
    "ddb-write-throttled": ("TransactWriteItems", refused("ThrottlingException", 400), 0.03),
    "ddb-write-reset": ("TransactWriteItems", {"reset": True}, 0.02),
    "ddb-write-slow": ("TransactWriteItems", {"latency": {"min": 100, "max": 1500}}, 0.05),
    "ddb-read-500": ("BatchGetItem", refused("InternalServerError", 500), 0.02),
    "ddb-read-throttled": ("BatchGetItem", refused("ProvisionedThroughputExceededException", 400), 0.02),
    "ddb-read-reset": ("BatchGetItem", {"reset": True}, 0.02),
    "ddb-query-500": ("Query", refused("InternalServerError", 500), 0.02),
    "ddb-query-reply-lost": ("Query", LOST, 0.02),
}
# Of `bigquery_faults.KINDS`, in the same way.
BIGQUERY = {
    "503": 0.02, "502-page": 0.01, "429": 0.01, "403-rateLimitExceeded": 0.01, "403-quotaExceeded": 0.03, "reset": 0.02,
    "slow-answer": 0.04, "slow-RUNNING": 0.3, "answer-cut": 0.02, "upload-answer-cut": 0.1,
    "upload-cut-before-its-last-byte": 0.05, "upload-late": 0.1, "job-failed-backendError": 0.04,
    "job-failed-rateLimitExceeded": 0.02, "job-failed-quotaExceeded": 0.01,
}


def call(url, body=None, seconds=CALL_SECONDS):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        return json.loads(answer.read() or b"null")


class Weather:
    """Both proxies, running."""

    def __init__(self, places, python, seed, folder, dynamodb=False):
        self.kinds = dict(AWS, **DYNAMODB) if dynamodb else AWS
        self.random = random.Random("weather %d" % seed)
        self.kind_of_rule = {}
        self.processes = []
        self.aws = self.start_microburst(places["aws"], python, seed, folder)
        self.bigquery = self.start_bigquery(places["bigquery"], seed, folder)

    def start_microburst(self, upstream, python, seed, folder):
        sys.path.insert(0, os.path.join(os.path.dirname(HERE), "emulators"))
        from serve import free_port

        url = "http://127.0.0.1:%d" % free_port()
        # microburst draws from Python's own generator.
        code = "import random, sys; random.seed(int(sys.argv.pop(1))); from microburst.cli import main; main()"
        command = [python, "-c", code, str(seed), "--upstream", upstream, "--port", url.rsplit(":", 1)[1]]
        with open(os.path.join(folder, "microburst.log"), "w") as log:
            self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            try:
                call(url + "/_microburst/health")
                return url  # Its first calls are slow: `World.warm_up`.
            except OSError:
                time.sleep(0.1)
        sys.exit("microburst did not start: see %s" % folder)

    def start_bigquery(self, upstream, seed, folder):
        command = [sys.executable, os.path.join(HERE, "bigquery_faults.py"), "--upstream", upstream, "--seed", str(seed)]
        with open(os.path.join(folder, "bigquery_faults.log"), "w") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        self.processes.append(process)
        return process.stdout.readline().strip()

    def change(self):
        """Other weather: a fifth of the time none, a third of the time a storm."""
        force = self.random.choices((0, 1, 3), (20, 47, 33))[0]

        def drawn(usual):
            return min(usual * force * self.random.uniform(0.3, 1.7), 0.8) if self.random.random() < 0.75 else 0

        self.set({kind: drawn(usual) for kind, (_, _, usual) in self.kinds.items()},
                 {kind: drawn(usual) for kind, usual in BIGQUERY.items()})

    def quota_is_used_up(self):
        """Weather for a long life: no load job is taken, until the files are deferred."""
        self.set({}, {"403-quotaExceeded": 1})

    def clear(self):
        self.set({}, {})

    def set(self, aws, bigquery):
        rules = [(kind, dict(self.kinds[kind][1], operation=self.kinds[kind][0], probability=likely)) for kind, likely in aws.items() if likely]
        made = call(self.aws + "/_microburst/rules", [rule for _, rule in rules])
        self.kind_of_rule.update((rule["id"], kind) for rule, (kind, _) in zip(made, rules, strict=True))
        call(self.bigquery + "/_chaos/weather", bigquery)

    def count(self):
        """How often each kind has befallen a request."""
        fired = collections.Counter(dict.fromkeys(self.kinds, 0))
        for rule in call(self.aws + "/_microburst/stats")["by_rule"]:
            fired[self.kind_of_rule[rule["id"]]] += rule["fired"]
        return dict(fired), dict(dict.fromkeys(bigquery_faults.KINDS, 0), **call(self.bigquery + "/_chaos/counts"))

    def next_upload(self, seconds):
        """Waits until an upload begins, or so long."""
        try:
            call(self.bigquery + "/_chaos/upload", seconds=seconds)
        except (OSError, urllib.error.URLError):
            pass

    def release(self):
        """What was held back arrives now, when all is done."""
        call(self.bigquery + "/_chaos/release", {}, seconds=300)

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
