"""Buckets, queues and tables of one run, and what can be seen of them without landbridge."""

import json
import os
import time

import boto3
from botocore.config import Config
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from weather import call

PROJECT = "test-project"
SCHEMA = "casino"
SETTLED_LOOKS = 3
# The least that landbridge takes, so that all of it happens within the short lives of this test.
SETTINGS = """[http]
listen = "127.0.0.1:%(port)d"
[ledger]
%(ledger)s
[warehouse]
kind = "bigquery"
project = "%(project)s"
location = "US"
credentials = "anonymous"
endpoint = "%(bigquery)s"
[aws]
region = "us-east-1"
endpoint = "%(aws)s"
path_style = "always"
[batching]
window = "1s"
[spool]
path = "spool-%(number)d"
threshold = "64KiB"
[timing]
visibility_timeout = "30s"
defer_after = "10s"
drain_timeout = "8s"
job_timeout = "10s"
"""
MAPPING = """[[mapping]]
cluster = "%(cluster)s"
source = "s3://%(bucket)s/dms/"
queue = "%(queue)s"
dataset = "%(dataset)s"
[mapping.dms]
timestamp = "dms_timestamp"
sequence = "dms_change_seq"
"""
TABLE = '[[mapping.table]]\nname = "%s.%s"\nkey = ["id"]\n'


def aws(service, endpoint):
    config = Config(s3={"addressing_style": "path"}, max_pool_connections=16, retries={"mode": "standard", "max_attempts": 8})
    return boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test",
        config=config,
    )


class Table:
    def __init__(self, cluster, bucket, queue, dataset, name):
        self.cluster, self.bucket, self.queue, self.dataset, self.name = cluster, bucket, queue, dataset, name
        self.prefix = "dms/%s/%s/" % (SCHEMA, name)
        self.destination = "%s.%s" % (dataset, name)


class World:
    """`name` keeps it apart from others in the same stand-ins; `places` are the stand-ins' own addresses."""

    def __init__(self, name, places, clusters, tables, ledger):
        self.name, self.places, self.ledger = name, places, ledger
        self.s3, self.sqs = aws("s3", places["aws"]), aws("sqs", places["aws"])
        self.client = bigquery.Client(
            project=PROJECT, credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=places["bigquery"]),
        )
        self.queues, self.tables = [], []
        for number in range(clusters):
            cluster = "%s-c%d" % (name, number)
            bucket, queue = "b-" + cluster, self.sqs.create_queue(QueueName="q-" + cluster)["QueueUrl"]
            arn = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            self.s3.create_bucket(Bucket=bucket)
            to_queue = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
            self.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=to_queue)
            self.queues.append(queue)
            dataset = cluster.replace("-", "_")
            self.tables += [Table(cluster, bucket, queue, dataset, "t%d" % table) for table in range(tables)]

    def warm_up(self, weather):
        """The first call of a service makes microburst read the service's model, which takes it seconds."""
        aws("sqs", weather.aws).list_queues()
        try:
            aws("s3", weather.aws).get_object(Bucket=self.tables[0].bucket, Key="none")
        except aws("s3", weather.aws).exceptions.NoSuchKey:
            pass

    def configure(self, folder, weather, port, number):
        """Writes the configuration of process `number`; both clouds are reached through the proxies."""
        text = SETTINGS % {"port": port, "project": PROJECT, "aws": weather.aws, "bigquery": weather.bigquery, "number": number,
                           "ledger": self.ledger.setting()}
        for queue in self.queues:
            mine = [table for table in self.tables if table.queue == queue]
            text += MAPPING % vars(mine[0]) + "".join(TABLE % (SCHEMA, table.name) for table in mine)
        path = os.path.join(folder, "landbridge-%d.toml" % number)
        with open(path, "w") as file:
            file.write(text)
        return path

    def waiting(self):
        """Messages in the queues, seen or hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answers = [self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"] for queue in self.queues]
        return sum(int(count) for answer in answers for count in answer.values())

    def until_final(self, lives, patience_seconds):
        """Waits until the queues are empty and landbridge says that nothing is pending. Fails when nothing moves any more."""
        last, changed_at, settled = None, time.monotonic(), 0
        while settled < SETTLED_LOOKS:
            for life in lives:
                life.must_run()
            pending = summed([life.pending() for life in lives])
            now = (self.waiting(), json.dumps(pending, sort_keys=True))
            settled = settled + 1 if now[0] == 0 and pending is not None and not any(pending.values()) else 0
            if now != last:
                last, changed_at = now, time.monotonic()
            if time.monotonic() - changed_at > patience_seconds:
                raise TimeoutError("nothing moves any more: %d messages wait, pending is %s" % now)
            time.sleep(1)

    def snapshot(self, with_ledger):
        """What must not change any more: rows and batches of each table, load jobs, the ledger's files, batches and attempts."""
        seen = {}
        for table in self.tables:
            name = "`%s.%s`" % (PROJECT, table.destination)
            statement = "SELECT count(*), count(DISTINCT _batch_id), sum(_source_row) FROM " + name
            there = any(item.table_id == table.name for item in self.client.list_tables(table.dataset))
            seen[table.destination] = tuple(next(iter(self.client.query(statement).result()))) if there else None
        jobs = self.client.list_jobs(all_users=True, max_results=1_000_000)
        prefix = "lb_" + self.name
        seen["load jobs"] = sum(job.job_type == "load" and job.job_id.startswith(prefix) for job in jobs)
        seen.update(self.ledger.counts() if with_ledger else {})
        return seen


def summed(pendings):
    """What all processes together have pending; `None` while one does not answer."""
    if None in pendings:
        return None
    return {kind: sum(pending[kind] for pending in pendings) for kind in pendings[0]}


def pending(url):
    """Files announced and not final, as landbridge's own API says; `None` while it does not answer."""
    try:
        tables = call(url + "/api/v1/tables", seconds=10)["tables"]
    except (OSError, ValueError):
        return None
    return {kind: sum(table["pending"][kind] for table in tables) for kind in ("in_hand", "parked", "deferred", "loads")}
