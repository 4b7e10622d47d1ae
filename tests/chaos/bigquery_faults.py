#!/usr/bin/env python3
"""A proxy before a stand-in of BigQuery that does what services and networks do. Standard library only.

    bigquery_faults.py --upstream URL --seed N          prints its own address once it listens

What it does to a request is drawn from the seed, by the weather: the probability of each kind of fault. It obeys
`POST /_chaos/weather` (JSON, kind to probability), `GET /_chaos/counts`, `GET /_chaos/upload` (answers when the next
upload begins), `POST /_chaos/release` (what is held back goes now; answers what became of it).

One request of a job id at a time goes upstream: local-bigquery 0.3.2 looks for the id and takes it in two steps, so two that
arrive together would both be accepted, which BigQuery never does.
"""

import argparse
import asyncio
import collections
import json
import random
import re
import time

from http_wire import Answer, Request, exchange, read_request, reset

UPLOAD = re.compile(r"^/upload/bigquery/v2/projects/[^/]+/jobs\?")
JOB = re.compile(r"^/bigquery/v2/projects/[^/]+/jobs/([^/?]+)")
SESSION = re.compile(r"upload_id=([^&\s]+)")
JOB_ID = re.compile(rb'"jobId"\s*:\s*"([^"]+)"')
# Held until the end, when landbridge believes that all is done: the latest that an upload can be.
LATEST = 0.15

# Kind, the requests that it befalls, and what it does.
KINDS = {
    "503": ("any", "refuse"), "502-page": ("any", "refuse"), "429": ("any", "refuse"),
    "403-rateLimitExceeded": ("any", "refuse"), "403-quotaExceeded": ("upload", "refuse"),
    "reset": ("any", "reset"), "slow-answer": ("any", "slow"), "slow-RUNNING": ("ask", "running"),
    "answer-cut": ("any", "cut"), "upload-answer-cut": ("upload", "cut"),
    "upload-cut-before-its-last-byte": ("upload", "truncate"), "upload-late": ("upload", "late"),
    "job-failed-backendError": ("last", "fail"), "job-failed-rateLimitExceeded": ("last", "fail"),
    "job-failed-quotaExceeded": ("last", "fail"),
}


def error(status, reason, message):
    body = {"error": {"code": status, "message": message, "status": reason,
                      "errors": [{"reason": reason, "message": message, "domain": "global"}]}}
    return Answer.json(status, body)


REFUSALS = {
    "503": error(503, "backendError", "The service is currently unavailable."),
    "502-page": Answer(502, [("Content-Type", "text/html")], b"<html><title>502 Server Error</title></html>"),
    "429": error(429, "rateLimitExceeded", "Too many requests."),
    "403-rateLimitExceeded": error(403, "rateLimitExceeded", "Exceeded rate limits: too many api requests."),
    "403-quotaExceeded": error(403, "quotaExceeded", "Quota exceeded: too many load jobs."),
}
DUPLICATE = error(409, "duplicate", "Already Exists: Job")


class Proxy:
    def __init__(self, upstream, seed):
        host, port = upstream.split("//")[1].split(":")
        self.upstream = (host, int(port))
        self.random = random.Random(seed)
        self.weather = {}
        self.counts = collections.Counter()
        self.locks = collections.defaultdict(asyncio.Lock)
        self.sessions = {}  # Upload id to job id.
        self.configurations = {}  # Job id to what was asked for, of uploads in pieces.
        self.failed = {}  # Jobs that failed here, and of which the stand-in knows nothing.
        self.running = {}  # Job id to when it may be seen to have ended.
        self.held, self.release = set(), asyncio.Event()
        self.uploads = asyncio.Condition()

    async def serve(self, reader, writer):
        try:
            while (request := await read_request(reader)) is not None:
                if request.target.startswith("/_chaos/"):
                    answer = await self.control(request)
                else:
                    answer = await self.answer(request, writer)
                if answer is None:
                    reset(writer)
                    return
                await answer.write(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def control(self, request):
        deed = request.target.split("/")[2]
        if deed == "weather":
            self.weather = json.loads(request.body)
            unknown = set(self.weather) - set(KINDS)
            return error(400, "invalid", "unknown: %s" % unknown) if unknown else Answer.json(200, {})
        if deed == "upload":
            async with self.uploads:
                await self.uploads.wait()
        if deed == "release":
            self.release.set()
            while self.held:
                await asyncio.wait(self.held)
            self.release.clear()
        return Answer.json(200, self.counts)

    def draw(self, classes, once=()):
        """The fault that befalls a request of these classes."""
        for kind, (befalls, deed) in KINDS.items():
            if befalls in classes and self.random.random() < self.weather.get(kind, 0):
                return kind, deed
        return None, None

    async def answer(self, request, writer):
        classes = {"any"}
        is_upload = UPLOAD.match(request.target) is not None
        job_id = self.job_of(request, is_upload)
        asked = JOB.match(request.target) if request.method == "GET" else None
        if asked:
            classes.add("ask")
        # The question how far a session is carries no data.
        if is_upload and request.body:
            classes.add("upload")
            if self.is_last(request):
                classes.add("last")
            async with self.uploads:
                self.uploads.notify_all()
        kind, deed = self.draw(classes)
        if deed == "running":
            return await self.ask(request, asked[1], kind)
        if deed == "late" and "last" not in classes:
            deed = None  # The stand-in would append a late piece wherever the file ends.
        if deed is None:
            return await self.ask(request, asked[1]) if asked else await self.forward(request, job_id)
        if deed == "fail" and not await self.fail(request, job_id, kind):
            return await self.forward(request, job_id)
        self.counts[kind] += 1
        if deed == "refuse":
            return REFUSALS[kind]
        if deed == "slow":
            await asyncio.sleep(self.random.uniform(0.3, 3))
            return await self.forward(request, job_id)
        if deed == "cut":
            await self.forward(request, job_id)
        if deed == "truncate":
            await exchange(self.upstream, request, cut=self.random.uniform(0.05, 0.999))
        if deed == "late":
            self.hold(request, job_id)
            return REFUSALS["503"] if self.random.random() < 0.3 else None
        if deed == "fail" and self.random.random() < 0.7:
            return Answer.json(200, self.failed[job_id])
        return None

    def job_of(self, request, is_upload):
        """The id that a request is about to take."""
        session = SESSION.search(request.target)
        if session:
            return self.sessions.get(session[1])
        named = JOB_ID.search(request.body[: 1 << 16]) if is_upload or request.target.endswith("/jobs") else None
        return named[1].decode() if named else None

    def is_last(self, request):
        if "uploadType=multipart" in request.target:
            return True
        place = re.match(r"bytes \d+-(\d+)/(\d+)", request.header("content-range") or "")
        return place is not None and int(place[1]) + 1 == int(place[2])

    async def forward(self, request, job_id):
        if job_id is None:
            return await exchange(self.upstream, request)
        async with self.locks[job_id]:
            if job_id in self.failed and self.takes(request):
                return DUPLICATE
            answer = await exchange(self.upstream, request)
            if answer is not None and (session := SESSION.search(answer.header("location") or "")):
                self.sessions[session[1]] = job_id
                self.configurations[job_id] = json.loads(request.body)["configuration"]
            return answer

    def takes(self, request):
        return self.is_last(request) or request.target.endswith("/jobs")

    async def ask(self, request, job_id, kind=None):
        if job_id in self.failed:
            return Answer.json(200, self.failed[job_id])
        answer = await exchange(self.upstream, request)
        if answer is None or answer.status != 200:
            return answer
        if kind and job_id not in self.running:
            self.counts[kind] += 1
            self.running[job_id] = time.monotonic() + self.random.uniform(0.3, 4)
        if time.monotonic() < self.running.get(job_id, 0):
            job = json.loads(answer.body)
            job["status"] = {"state": "RUNNING"}
            job.get("statistics", {}).pop("load", None)
            return Answer.json(200, job)
        return answer

    async def fail(self, request, job_id, kind):
        """The job is taken and fails, for no fault of its data. False when the id is taken already."""
        if job_id is None or job_id in self.failed:
            return False
        async with self.locks[job_id]:
            resource = request.target.split("?")[0].removeprefix("/upload") + "/" + job_id
            known = await exchange(self.upstream, Request("GET", resource, [], b""))
            if known is None or known.status != 404:
                return False
            reason = {"reason": kind.rsplit("-", 1)[1], "message": "The job failed. Drawn by the chaos."}
            project = request.target.split("/projects/")[1].split("/")[0]
            if (configuration := self.configurations.get(job_id)) is None:
                configuration = json.loads(request.body.split(b"\r\n\r\n", 1)[1].split(b"\r\n--", 1)[0])["configuration"]
            self.failed[job_id] = {
                "kind": "bigquery#job", "id": "%s:US.%s" % (project, job_id),
                "jobReference": {"projectId": project, "jobId": job_id, "location": "US"},
                "configuration": configuration, "status": {"state": "DONE", "errorResult": reason, "errors": [reason]},
            }
            return True

    def hold(self, request, job_id):
        delay = 1e9 if self.random.random() < LATEST else self.random.uniform(0.2, 8)
        task = asyncio.create_task(self.late(request, job_id, delay))
        self.held.add(task)
        task.add_done_callback(self.held.discard)

    async def late(self, request, job_id, delay):
        released = asyncio.create_task(self.release.wait())
        await asyncio.wait([released], timeout=delay)
        when = "at-the-end" if released.done() and delay > 8 else "later"
        released.cancel()
        answer = await self.forward(request, job_id)
        outcome = {200: "loaded", 409: "refused-409", 404: "refused-404"}.get(answer.status if answer else 0, "lost")
        self.counts["(upload-late %s %s)" % (when, outcome)] += 1


async def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--upstream", required=True)
    arguments.add_argument("--seed", type=int, required=True)
    options = arguments.parse_args()
    proxy = Proxy(options.upstream, options.seed)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=1 << 20)
    print("http://127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
