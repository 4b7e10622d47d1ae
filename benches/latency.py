#!/usr/bin/env python3
"""From S3 put to row queryable, on stand-ins of the clouds: p50 and p99, with a window of one second.

    benches/latency.py [--files-per-second 20] [--seconds 60] [--tables 4] [--rows 400]

Puts DMS-shaped files at a steady rate, each into one of the tables; S3 announces them on SQS; landbridge (release build) loads them.
A file's time runs from the moment its put begins to the moment its load job has ended, as BigQuery says: from then on its rows
are seen by queries. Ends with one line of JSON; every file is accounted for.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = "test-project"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--files-per-second", type=float, default=20)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--tables", type=int, default=4)
    arguments.add_argument("--rows", type=int, default=400)
    arguments.add_argument("--inside", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if not options.inside:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
        emulators = subprocess.Popen(
            [sys.executable, os.path.join(ROOT, "tests/emulators/serve.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        places = emulators.stdout.readline()
        if not places:
            sys.exit("the stand-ins did not start")
        python = json.loads(places)["python"]
        code = subprocess.run([python, os.path.abspath(__file__), "--inside", places] + sys.argv[1:]).returncode
        emulators.stdin.close()
        emulators.wait()
        sys.exit(code)
    measure(options, json.loads(options.inside))


def measure(options, places):
    import boto3
    from botocore.config import Config
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    def aws(service):
        return boto3.client(
            service, endpoint_url=places["aws"], region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", config=Config(s3={"addressing_style": "path"}, max_pool_connections=32),
        )

    s3, sqs = aws("s3"), aws("sqs")
    s3.create_bucket(Bucket="latency")
    queue = sqs.create_queue(QueueName="latency")["QueueUrl"]
    s3.put_bucket_notification_configuration(
        Bucket="latency",
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:latency", "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        landbridge = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "landbridge")
        subprocess.run(
            [landbridge, "demo", "generate", "--dir", folder, "--rows", str(options.rows), "--rows-per-file", str(options.rows)],
            check=True, stdout=subprocess.DEVNULL,
        )
        files = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".parquet")]
        with open(files[0], "rb") as file:
            body = file.read()
        config = os.path.join(folder, "latency.toml")
        with open(config, "w") as text:
            text.write(
                '[http]\nlisten = "off"\n[warehouse]\nkind = "bigquery"\nproject = "%s"\nlocation = "US"\n'
                'credentials = "anonymous"\nendpoint = "%s"\n[aws]\nregion = "us-east-1"\nendpoint = "%s"\n'
                'path_style = "always"\n[batching]\nwindow = "1s"\n[[mapping]]\ncluster = "c"\n'
                'source = "s3://latency/dms/"\nqueue = "%s"\ndataset = "latency"\n[mapping.dms]\n'
                'timestamp = "dms_timestamp"\nsequence = "dms_change_seq"\n'
                % (PROJECT, places["bigquery"], places["aws"], queue)
            )
            for table in range(options.tables):
                text.write('[[mapping.table]]\nname = "s.t%d"\nkey = ["id"]\n' % table)
        environment = dict(
            os.environ, LANDBRIDGE__LEDGER__VOLUME="durable", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_EC2_METADATA_DISABLED="true",
        )
        with open(os.path.join(folder, "log"), "w") as log:
            process = subprocess.Popen([landbridge, "run", "--config", config], env=environment, stderr=log)
        try:
            put_at = put_all(options, s3, body)
            client = bigquery.Client(
                project=PROJECT, credentials=AnonymousCredentials(),
                client_options=ClientOptions(api_endpoint=places["bigquery"]),
            )
            loaded_at = wait_for(client, put_at, options)
        finally:
            process.terminate()
            process.wait()
    report(options, put_at, loaded_at)


def put_all(options, s3, body):
    """Puts at a steady rate, whatever a put takes; answers when each began."""
    put_at, threads = {}, []
    count = int(options.files_per_second * options.seconds)
    started = time.time() + 2
    for number in range(count):
        due = started + number / options.files_per_second
        time.sleep(max(0, due - time.time()))
        key = "dms/s/t%d/20251123-%09d.parquet" % (number % options.tables, number)
        put_at[key] = time.time()
        thread = threading.Thread(target=s3.put_object, kwargs={"Bucket": "latency", "Key": key, "Body": body})
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    return put_at


def wait_for(client, put_at, options):
    """When the job of each file ended."""
    end = time.time() + 120
    while True:
        jobs = {job.labels.get("batch_id"): job.ended for job in client.list_jobs(all_users=True, max_results=100000)}
        loaded = {}
        for table in range(options.tables):
            statement = "SELECT DISTINCT _source_file, _batch_id FROM `%s.latency.t%d`" % (PROJECT, table)
            for row in client.query(statement).result():
                key = row["_source_file"].split("/", 1)[1].rsplit("@", 1)[0]
                if jobs.get(row["_batch_id"]):
                    loaded[key] = jobs[row["_batch_id"]].timestamp()
        if len(loaded) == len(put_at) or time.time() > end:
            return loaded
        time.sleep(1)


def report(options, put_at, loaded_at):
    times = sorted(loaded_at[key] - at for key, at in put_at.items() if key in loaded_at)
    if not times:
        sys.exit("nothing was loaded")
    result = {
        "files": len(put_at), "missing": len(put_at) - len(times), "files_per_second": options.files_per_second,
        "tables": options.tables, "p50_s": round(times[len(times) // 2], 2),
        "p99_s": round(times[min(len(times) - 1, int(len(times) * 0.99))], 2), "max_s": round(times[-1], 2),
    }
    print(json.dumps(result))
    sys.exit(1 if result["missing"] else 0)


if __name__ == "__main__":
    main()
