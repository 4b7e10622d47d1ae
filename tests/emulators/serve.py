#!/usr/bin/env python3
"""Starts ministack (S3, SQS, SNS) and local-bigquery on loopback, prints their addresses (one line of JSON) once both answer,
and stops them when standard input ends: however the tests end, nothing stays behind. `serve.py moto` takes moto_server in
ministack's place."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS = 90


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url, process, log):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    with open(log, errors="replace") as text:
        sys.exit("%s did not start:\n%s" % (url, text.read()[-4000:]))


def main():
    moto = sys.argv[1:] == ["moto"]
    needed = ["chaos" if moto else "aws", "bigquery", "check"]
    prepare = [sys.executable, os.path.join(HERE, "prepare.py")] + needed
    prepared = subprocess.run(prepare, stdout=subprocess.PIPE, text=True)
    if prepared.returncode != 0:
        sys.exit(prepared.returncode)
    places = json.loads(prepared.stdout)
    folder = tempfile.mkdtemp(prefix="landbridge-emulators-")
    processes = []

    def start(name, command, environment):
        log = os.path.join(folder, name + ".log")
        with open(log, "w") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder,
                env=dict(os.environ, **environment),
            )
        processes.append(process)
        return process, log

    try:
        aws, bigquery, storage = free_port(), free_port(), free_port()
        gates = os.path.join(folder, "gates")
        os.mkdir(gates)
        if moto:
            command = [os.path.join(places["chaos"], "bin", "moto_server"), "-H", "127.0.0.1", "-p", str(aws)]
            amazon = start("moto", command, {})
        else:
            amazon = start(
                "ministack",
                [os.path.join(places["aws"], "bin", "ministack")],
                {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(aws), "IOT_MTLS_PORT": "0"},
            )
        local = start(
            "bigquery",
            [
                os.path.join(places["bigquery"], "bin", "python"), os.path.join(HERE, "gated.py"), "serve", "--host", "127.0.0.1",
                "--port", str(bigquery), "--grpc-port", str(storage), "--project", "test-project",
                "--data-dir", os.path.join(folder, "data"),
            ],
            {"HOME": os.path.join(places["bigquery"], "home"), "LANDBRIDGE_TEST_GATES": gates},
        )
        aws_url, bigquery_url = "http://127.0.0.1:%d" % aws, "http://127.0.0.1:%d" % bigquery
        wait_for(aws_url + ("/moto-api/" if moto else "/_ministack/health"), *amazon)
        wait_for(bigquery_url + "/bigquery/v2/projects/test-project/datasets", *local)
        python = os.path.join(places["check"], "bin", "python")
        places = {"aws": aws_url, "bigquery": bigquery_url, "python": python}
        places.update({"storage": "http://127.0.0.1:%d" % storage, "gates": gates})
        print(json.dumps(places), flush=True)
        sys.stdin.read()
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
