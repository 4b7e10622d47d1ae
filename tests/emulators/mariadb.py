#!/usr/bin/env python3
"""A MariaDB server of the tests' own, on loopback, in a folder that is gone afterwards. Prints where it is (one line of JSON) once
it answers, and ends when standard input does: however the tests end, nothing stays behind.

    mariadb.py [--without-tls]

The server is the machine's own (mariadbd or mysqld on PATH or in /usr/sbin), or Debian's package, unpacked into the cache of the
tests: nothing is installed, and nobody needs to be root for it."""

import ctypes
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
START_SECONDS = 90
# The server, and what its installation script calls.
PACKAGES = ["mariadb-server-core", "mariadb-client-core"]
HOW = "install mariadb-server-core (Debian), or run apt-get update, so that it can be downloaded"
USER, PASSWORD = "landbridge", "not a secret: 'x'"


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit("%s\nfailed:\n%s" % (" ".join(command), done.stdout[-4000:]))
    return done.stdout


def environment(place):
    """The environment in which programs of an unpacked server find its libraries."""
    folders = glob.glob(os.path.join(place["root"], "usr", "lib", "*-linux-*")) if place["root"] else []
    before = os.environ.get("LD_LIBRARY_PATH")
    return dict(os.environ, LD_LIBRARY_PATH=":".join(folders + ([before] if before else [])))


def installed():
    """The machine's own server, if it is MariaDB with its installation script."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/usr/libexec"
    for name in ("mariadbd", "mysqld"):
        server = shutil.which(name, path=path)
        script = shutil.which("mariadb-install-db", path=path) or shutil.which("mysql_install_db", path=path)
        if server and script and "MariaDB" in run([server, "--no-defaults", "--version"]):
            return {"server": server, "script": script, "basedir": "/usr", "root": None}
    return None


def missing(place):
    shown = run(["ldd", place["server"]], env=environment(place))
    return re.findall(r"^\s*(\S+) => not found", shown, re.MULTILINE)


def download(packages, folder):
    done = subprocess.run(
        ["apt-get", "download", "-q"] + packages, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        sys.exit("the tests against MariaDB need it: %s\n%s" % (HOW, done.stdout[-2000:]))


def unpack(packages, root):
    with tempfile.TemporaryDirectory(prefix="landbridge-mariadb-") as folder:
        download(packages, folder)
        for package in sorted(glob.glob(os.path.join(folder, "*.deb"))):
            run(["dpkg", "-x", package, root])


def libraries():
    """The libraries that the server's package may need, of itself or through others."""
    shown = run(
        ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
         "--no-replaces", "--no-enhances", PACKAGES[0]]
    )
    names = {line for line in shown.splitlines() if re.match(r"lib[a-z0-9.+-]+$", line)}
    # The C library belongs to the machine.
    return sorted(names - {"libc6", "libgcc-s1", "libstdc++6", "libc-bin"})


def version():
    """The version that would be downloaded, as a part of a folder's name."""
    shown = subprocess.run(["apt-cache", "policy", PACKAGES[0]], stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"Candidate: (\S+)", shown)
    return found.group(1) if found else "none"


def prepare(cache):
    """The folder of the server, made once: `place.json` says where its parts are, `data` is what a new server begins with."""
    own = installed()
    made = sorted(glob.glob(os.path.join(cache, "mariadb-*", "complete")))
    if not own and version() == "none" and made:
        # Nothing can be downloaded, and what was unpacked before is as good.
        return os.path.dirname(made[-1])
    mark = json.dumps(own) + (run([own["server"], "--no-defaults", "--version"]) if own else version())
    with open(os.path.abspath(__file__), "rb") as text:
        mark = hashlib.sha256(mark.encode() + text.read()).hexdigest()[:12]
    folder = os.path.join(cache, "mariadb-%s" % mark)
    if os.path.exists(os.path.join(folder, "complete")):
        return folder
    print("making the MariaDB server %s (once)" % folder, file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    place = own
    if not place:
        root = os.path.join(folder, "root")
        unpack(PACKAGES, root)
        place = {
            "server": os.path.join(root, "usr", "sbin", "mariadbd"),
            "script": os.path.join(root, "usr", "bin", "mariadb-install-db"),
            "basedir": os.path.join(root, "usr"),
            "root": root,
        }
        if missing(place):
            unpack(libraries(), root)
        if missing(place):
            sys.exit("MariaDB's server needs %s: install them" % ", ".join(missing(place)))
    command = [
        place["script"], "--no-defaults", "--basedir=" + place["basedir"], "--datadir=" + os.path.join(folder, "data"),
        "--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M",
    ]
    run(command + as_root(), env=environment(place))
    with open(os.path.join(folder, "place.json"), "w") as target:
        json.dump(place, target)
    with open(os.path.join(folder, "complete"), "w"):
        pass
    return folder


def as_root():
    """A server that root starts wants to hear that it is meant."""
    return ["--user=root"] if os.geteuid() == 0 else []


def certificates(folder):
    """An authority, and a certificate that is good for 127.0.0.1."""
    def path(name):
        return os.path.join(folder, name)

    if not shutil.which("openssl"):
        sys.exit("the tests against MariaDB need openssl (Debian: apt-get install openssl)")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run(["openssl", "req", "-x509", "-days", "7", "-subj", "/CN=landbridge tests", "-keyout", path("ca.key"),
         "-out", path("ca.pem")] + key)
    run(["openssl", "req", "-subj", "/CN=127.0.0.1", "-keyout", path("server.key"), "-out", path("server.csr")] + key)
    with open(path("server.ext"), "w") as extensions:
        extensions.write("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    run(["openssl", "x509", "-req", "-days", "7", "-in", path("server.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
         "-CAcreateserial", "-extfile", path("server.ext"), "-out", path("server.pem")])
    return ["--ssl-ca=" + path("ca.pem"), "--ssl-cert=" + path("server.pem"), "--ssl-key=" + path("server.key")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process, log):
    """Until the server greets; a MySQL server speaks first."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                if connection.recv(1):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    with open(log, errors="replace") as text:
        sys.exit("MariaDB did not start:\n%s" % text.read()[-4000:])


def end_with_this_script():
    """Whatever ends this script ends the server, even what leaves it no time to clean up (Linux: PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    prepared = subprocess.run([sys.executable, os.path.join(HERE, "prepare.py"), "mariadb"], stdout=subprocess.PIPE, text=True)
    if prepared.returncode != 0:
        sys.exit(prepared.returncode)
    cached = json.loads(prepared.stdout)["mariadb"]
    with open(os.path.join(cached, "place.json")) as source:
        place = json.load(source)
    folder = tempfile.mkdtemp(prefix="landbridge-mariadb-")
    process = None
    try:
        data, log, port = os.path.join(folder, "data"), os.path.join(folder, "log"), free_port()
        shutil.copytree(os.path.join(cached, "data"), data)
        with open(os.path.join(folder, "init.sql"), "w") as sql:
            quoted = PASSWORD.replace("'", "''")
            sql.write("CREATE USER '%s'@'%%' IDENTIFIED BY '%s';\n" % (USER, quoted))
            sql.write("GRANT ALL ON *.* TO '%s'@'%%' WITH GRANT OPTION;\n" % USER)
        tls = [] if "--without-tls" in sys.argv[1:] else certificates(folder)
        command = [
            place["server"], "--no-defaults", "--basedir=" + place["basedir"], "--datadir=" + data,
            "--socket=" + os.path.join(folder, "socket"), "--port=%d" % port, "--bind-address=127.0.0.1",
            "--pid-file=" + os.path.join(folder, "pid"), "--init-file=" + os.path.join(folder, "init.sql"),
            "--tmpdir=" + folder, "--skip-name-resolve", "--character-set-server=utf8mb4", "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--performance-schema=off",
        ] + as_root() + tls
        with open(log, "w") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder,
                env=environment(place), preexec_fn=end_with_this_script,
            )
        wait_for(port, process, log)
        answer = {"host": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD}
        if tls:
            answer["ca"] = os.path.join(folder, "ca.pem")
        print(json.dumps(answer), flush=True)
        sys.stdin.read()
    finally:
        if process:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
