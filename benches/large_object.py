#!/usr/bin/env python3
"""One object of two GiB from S3 into a lake: the peak memory of landbridge (release build), which holds it on disk.

    benches/large_object.py [--mebibytes 2048]

The object is written with pyarrow as DMS writes: uncompressed, 10,000 rows a row group. Ends with one line of JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GROUP_ROWS = 10_000


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--mebibytes", type=int, default=2048)
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


def write(path, size):
    """Rows until the file has that size; answers how many."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([("id", pyarrow.int64()), ("payload", pyarrow.string())])
    rows = 0
    with pyarrow.parquet.ParquetWriter(path, schema, compression="NONE", use_dictionary=False) as writer:
        while os.path.getsize(path) < size:
            payload = [os.urandom(100).hex() for _ in range(GROUP_ROWS)]
            writer.write_table(pyarrow.table([range(rows, rows + GROUP_ROWS), payload], schema=schema))
            rows += GROUP_ROWS
    return rows


def measure(options, places):
    import boto3
    import pyarrow.parquet
    from botocore.config import Config

    def aws(service):
        return boto3.client(
            service, endpoint_url=places["aws"], region_name="us-east-1", aws_access_key_id="test",
            aws_secret_access_key="test", config=Config(s3={"addressing_style": "path"}, read_timeout=600),
        )

    s3, sqs = aws("s3"), aws("sqs")
    s3.create_bucket(Bucket="large")
    queue = sqs.create_queue(QueueName="large")["QueueUrl"]
    s3.put_bucket_notification_configuration(
        Bucket="large",
        NotificationConfiguration={
            "QueueConfigurations": [
                {"QueueArn": "arn:aws:sqs:us-east-1:000000000000:large", "Events": ["s3:ObjectCreated:*"]}
            ]
        },
    )
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "LOAD00000001.parquet")
        rows = write(path, options.mebibytes << 20)
        size = os.path.getsize(path)
        s3.upload_file(path, "large", "dms/s/t/LOAD00000001.parquet")
        os.remove(path)
        config = os.path.join(folder, "large.toml")
        with open(config, "w") as text:
            text.write(
                '[http]\nlisten = "off"\n[warehouse]\nkind = "lake"\npath = "lake"\n[aws]\nregion = "us-east-1"\n'
                'endpoint = "%s"\npath_style = "always"\n[batching]\nwindow = "1s"\n[[mapping]]\ncluster = "c"\n'
                'source = "s3://large/dms/"\nqueue = "%s"\ndataset = "d"\n[[mapping.table]]\nname = "s.t"\nkey = ["id"]\n'
                % (places["aws"], queue)
            )
        landbridge = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "landbridge")
        environment = dict(
            os.environ, LANDBRIDGE__LEDGER__VOLUME="durable", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_EC2_METADATA_DISABLED="true",
        )
        with open(os.path.join(folder, "log"), "w") as log:
            process = subprocess.Popen([landbridge, "run", "--config", config, "--until-idle"], env=environment, stderr=log)
            started = time.time()
            _, status, usage = os.wait4(process.pid, 0)
        loaded = 0
        for at, _, names in os.walk(os.path.join(folder, "lake")):
            for name in names:
                if name.endswith(".parquet"):
                    loaded += pyarrow.parquet.ParquetFile(os.path.join(at, name)).metadata.num_rows
        result = {
            "object_mib": size >> 20, "rows": rows, "loaded": loaded, "peak_mib": usage.ru_maxrss >> 10,
            "seconds": round(time.time() - started, 1), "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        }
        print(json.dumps(result))
        if status or rows != loaded:
            with open(os.path.join(folder, "log")) as log:
                sys.exit(log.read()[-4000:])


if __name__ == "__main__":
    main()
