"""The lives of the real process: it is started, left alone for a moment that the seed draws, and killed."""

import collections
import math
import os
import signal
import subprocess
import time

from world import pending

# Of a hundred lives: killed while it starts, around an upload, anywhere, after half a visibility timeout; told to end; stopped
# for a while and then killed.
LIVES = {"start": 22, "upload": 30, "anywhere": 36, "long": 3, "terminated": 5, "stopped": 4}
LONG_SECONDS = (16, 24)
# Longer than a visibility timeout: its messages come to others meanwhile.
LONG_STOP_SECONDS, LONG_STOP_EVERY = 35, 4
# After a kill, before a lost ledger is made anew; and how long that may take, tries included.
QUIET_SECONDS, REBUILT_SECONDS = 5, 300
DRAIN_SECONDS = 20
READY_SECONDS = 60


class Life:
    def __init__(self, number, binary, config, url, weather, random, frozen_seconds):
        self.number, self.binary, self.config, self.url, self.weather, self.random = number, binary, config, url, weather, random
        self.folder = os.path.dirname(config)
        self.log = os.path.join(self.folder, "landbridge-%d.log" % number)
        self.frozen_seconds = frozen_seconds
        self.process = None
        self.ends = collections.Counter()
        self.seconds = 0.0
        self.faults = []

    def environment(self):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "LANDBRIDGE"))}
        environment.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_EC2_METADATA_DISABLED="true")
        return environment

    def rebuild(self):
        """Its ledger is lost: it is made anew. What a killed process had sent to its last byte becomes a job meanwhile, and the
        wires are as bad as ever."""
        command, end = [self.binary, "ledger", "rebuild", "--config", self.config, "--yes"], time.monotonic() + REBUILT_SECONDS
        while True:
            time.sleep(QUIET_SECONDS)
            done = subprocess.run(command, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
            with open(self.log, "a") as log:
                log.write(done.stdout + done.stderr)
            if done.returncode == 0:
                return
            if time.monotonic() > end:
                raise RuntimeError("the ledger is not made anew: %s" % done.stderr)

    def redrive(self, table):
        command = [self.binary, "dlq", "redrive", table, "--all", "--url", self.url]
        subprocess.run(command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [self.binary, "run", "--config", self.config], env=self.environment(), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log,
            )
        self.started = time.monotonic()

    def until_ready(self):
        end = time.monotonic() + READY_SECONDS
        while self.pending() is None:
            self.must_run()
            if time.monotonic() > end:
                raise TimeoutError("landbridge does not get ready; its log is %s" % self.log)
            time.sleep(0.1)

    def pending(self):
        return pending(self.url)

    def must_run(self):
        if self.process.poll() is not None:
            raise RuntimeError("landbridge ended by itself with %s; its log is %s" % (self.process.returncode, self.log))

    def kill(self, how):
        """Ends it at once. Whoever ends before he is killed has a fault."""
        if self.process.poll() is not None:
            self.faults.append("a life (%s) ended by itself with exit code %s" % (how, self.process.returncode))
        self.process.kill()
        self.process.wait()
        self.ends[how] += 1
        self.seconds += time.monotonic() - self.started

    def terminate(self):
        """Lets it drain; what takes longer than a drain may is killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            self.faults.append("it did not end %d s after SIGTERM" % DRAIN_SECONDS)
            return self.kill("terminated")
        if code != 0:
            self.faults.append("it ended with %s after SIGTERM" % code)
        self.ends["terminated"] += 1
        self.seconds += time.monotonic() - self.started

    def draw(self, number):
        """How life `number` ends; one of each at first, so that a short run has them too."""
        if number < len(LIVES):
            return list(LIVES)[number]
        return self.random.choices(list(LIVES), list(LIVES.values()))[0]

    def live(self, how):
        """One life, from its start to its end."""
        self.start()
        if how == "start":
            time.sleep(math.exp(self.random.uniform(math.log(0.002), math.log(0.4))))
        elif how == "upload":
            self.weather.next_upload(4)
            time.sleep(math.exp(self.random.uniform(math.log(0.001), math.log(0.5))))
        elif how == "anywhere":
            time.sleep(self.random.uniform(0.2, 5.5))
        elif how == "long":
            time.sleep(self.random.uniform(*LONG_SECONDS))
        elif how == "terminated":
            time.sleep(self.random.uniform(1, 4))
            return self.terminate()
        elif how == "frozen":
            time.sleep(self.random.uniform(0.5, 4))
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(self.frozen_seconds)
            self.process.send_signal(signal.SIGCONT)
            # What it was about to do it does now, an age later.
            time.sleep(self.random.uniform(1, 6))
        elif how == "stopped":
            time.sleep(self.random.uniform(0.5, 3))
            self.process.send_signal(signal.SIGSTOP)
            is_long = self.ends["stopped"] % LONG_STOP_EVERY == 1
            time.sleep(LONG_STOP_SECONDS if is_long else self.random.uniform(0.5, 3))
            self.process.send_signal(signal.SIGCONT)
            time.sleep(self.random.uniform(0.1, 3))
        return self.kill(how)

    def kills(self):
        return sum(count for how, count in self.ends.items() if how != "terminated")

    def panics(self):
        with open(self.log, errors="replace") as log:
            return [line.strip() for line in log if "panicked" in line]
