#!/usr/bin/env python3
"""Makes the environments of the emulators, of the check and of the measurements, once, in a cache folder, and prints where they are (JSON).

    prepare.py [aws|bigquery|check|mariadb|chaos|bench]...        the first four when none is named

The folder is $LANDBRIDGE_TEST_CACHE, or landbridge-tests in $XDG_CACHE_HOME or ~/.cache. An environment's name holds a hash of
its requirements, so a changed pin makes a new one. local-bigquery needs CPython 3.13, or 3.12 with its own bound ignored.
"""

import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True

import mariadb

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDED = "CPython 3.13 or 3.12 with venv"
HOW = (
    "install it (Debian: apt-get install python3.13-venv; pyenv: pyenv install 3.13; uv: uv python install 3.13), "
    "or name one in LANDBRIDGE_TEST_PYTHON"
)

# Where local-bigquery 0.3.2 is not as BigQuery: Parquet loads with an explicit schema go through what is meant for CSV and JSON, so
# that BYTES are decoded as base64 text, and a column that the file does not have is an error instead of NULL.
MENDED = (
    "local_bigquery/jobs/load.py",
    "        source = _decoded(column, field)\n",
    "        source = column if typed else _decoded(column, field)\n"
    "        if typed and field.name.casefold() not in {name.casefold() for name in columns}:\n"
    "            source = \"NULL\"\n",
)


def cache_folder():
    named = os.environ.get("LANDBRIDGE_TEST_CACHE")
    if named:
        return named
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "landbridge-tests")


def version_of(python):
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def find_python():
    """The first usable interpreter: what is named, then 3.13, then 3.12, wherever they usually are."""
    named = os.environ.get("LANDBRIDGE_TEST_PYTHON")
    if named:
        if version_of(named) in ("3.13", "3.12"):
            return named, version_of(named)
        sys.exit("LANDBRIDGE_TEST_PYTHON is %s, which is not %s" % (named, NEEDED))
    for wanted in ("3.13", "3.12"):
        places = [
            shutil.which("python" + wanted),
            shutil.which("python3"),
            "/usr/bin/python" + wanted,
            "/usr/local/bin/python" + wanted,
        ]
        home = os.path.expanduser("~")
        for pattern in (
            os.path.join(os.environ.get("PYENV_ROOT", os.path.join(home, ".pyenv")), "versions", wanted + ".*", "bin", "python"),
            os.path.join(home, ".local", "share", "uv", "python", "cpython-" + wanted + "*", "bin", "python" + wanted),
        ):
            places.extend(sorted(glob.glob(pattern), reverse=True))
        for python in places:
            if python and version_of(python) == wanted:
                return python, wanted
    sys.exit("the tests against the emulators need %s, and none was found: %s" % (NEEDED, HOW))


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit("%s\nfailed:\n%s" % (" ".join(command), done.stdout[-4000:]))


def mend(packages, file, old, new):
    path = os.path.join(packages, file)
    with open(path) as source:
        text = source.read()
    if text.count(old) != 1:
        sys.exit("%s is not the version that is known: cannot mend it" % path)
    with open(path, "w") as target:
        target.write(text.replace(old, new))


def environment(cache, name, python, version):
    path = os.path.join(HERE, "requirements-%s.txt" % name)
    with open(path, "rb") as requirements:
        mark = hashlib.sha256(requirements.read() + version.encode() + repr(MENDED).encode()).hexdigest()[:12]
    folder = os.path.join(cache, "%s-%s" % (name, mark))
    if os.path.exists(os.path.join(folder, "complete")):
        return folder
    print("making the environment %s (once)" % folder, file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    run([python, "-m", "venv", folder])
    install = [os.path.join(folder, "bin", "python"), "-m", "pip", "install", "--quiet", "-r", path]
    if version != "3.13":
        install.append("--ignore-requires-python")
    run(install)
    if name == "bigquery":
        # DuckDB keeps its extensions in its user's home: give it one of its own.
        home = os.path.join(folder, "home")
        os.makedirs(home, exist_ok=True)
        code = "from duckdb_extensions import import_extension as i; [i(n) for n in ('icu', 'ducklake', 'spatial', 'httpfs')]"
        run([os.path.join(folder, "bin", "python"), "-c", code], env=dict(os.environ, HOME=home))
        mend(glob.glob(os.path.join(folder, "lib", "python3*", "site-packages"))[0], *MENDED)
    with open(os.path.join(folder, "complete"), "w"):
        pass
    return folder


def main():
    names = sys.argv[1:] or ("aws", "bigquery", "check", "mariadb")
    cache = cache_folder()
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = {"mariadb": mariadb.prepare(cache)} if "mariadb" in names else {}
        environments = [name for name in names if name != "mariadb"]
        if environments:
            python, version = find_python()
            found.update({name: environment(cache, name, python, version) for name in environments})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
