#!/usr/bin/env python3
"""local-bigquery, with gates before and after each call that writes to a stream. A test that is to be asked writes its address into
the folder LANDBRIDGE_TEST_GATES, under the name of its dataset; each gate then asks it by HTTP, and waits for the answer."""

import functools
import os
import sys
import threading
import urllib.request

from local_bigquery.grpc import write

GATES = os.environ["LANDBRIDGE_TEST_GATES"]
PATIENCE_SECONDS = 60
# The stand-in looks whether a stream is committed, inserts its rows, and then says that it is: of two commits at one moment both would
# insert. BigQuery commits a stream once.
ONE_AT_A_TIME = threading.Lock()


def gate(name, resource):
    parts = resource.split("/")
    path = os.path.join(GATES, parts[3]) if len(parts) > 3 else ""
    if not os.path.isfile(path):
        return
    with open(path) as file:
        address = file.read().strip()
    urllib.request.urlopen("%s/%s" % (address, name), timeout=PATIENCE_SECONDS).read()


def gated(name, function, resource):
    @functools.wraps(function)
    def call(request):
        gate(name + "/before", resource(request))
        with ONE_AT_A_TIME:
            answer = function(request)
        gate(name + "/after", resource(request))
        return answer

    return call


def gated_append(function):
    @functools.wraps(function)
    def call(requests):
        stream = ""

        def watched():
            nonlocal stream
            for request in requests:
                stream = request.write_stream or stream
                gate("append/before", stream)
                yield request

        for response in function(watched()):
            gate("append/after", stream)
            yield response

    return call


# Before the server is imported: it takes the functions as they are then.
write.create = gated("create", write.create, lambda request: request.parent)
write.append = gated_append(write.append)
write.finalize = gated("finalize", write.finalize, lambda request: request.name)
write.commit = gated("commit", write.commit, lambda request: request.parent)

from local_bigquery.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
