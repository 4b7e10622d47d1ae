"""As much of HTTP/1.1 as a proxy needs that wants to break it: whole messages, and ends at any byte."""

import asyncio
import json
import struct
import socket

# The largest message: a body that goes in one call, and some.
MESSAGE_BYTES_MAX = 64 << 20
UPSTREAM_SECONDS = 300


class Message:
    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)


class Request(Message):
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body

    def head(self):
        """For upstream: one exchange a connection, and answers that can be read."""
        left_out = ("connection", "accept-encoding", "content-length", "expect")
        headers = [(key, value) for key, value in self.headers if key.lower() not in left_out]
        if not self.header("host"):
            headers.append(("Host", "localhost"))
        headers += [("Content-Length", str(len(self.body))), ("Connection", "close")]
        lines = ["%s %s HTTP/1.1" % (self.method, self.target)] + ["%s: %s" % pair for pair in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Answer(Message):
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @classmethod
    def json(cls, status, value):
        return cls(status, [("Content-Type", "application/json; charset=UTF-8")], json.dumps(value).encode())

    async def write(self, writer):
        headers = [pair for pair in self.headers if pair[0].lower() not in ("connection", "content-length", "transfer-encoding")]
        headers.append(("Content-Length", str(len(self.body))))
        lines = ["HTTP/1.1 %d X" % self.status] + ["%s: %s" % pair for pair in headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body)
        await writer.drain()


async def read_head(reader):
    """The first line and the headers; `None` at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    return first, [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in lines]


async def read_body(reader, message, until_end):
    length = message.header("content-length")
    if (message.header("transfer-encoding") or "").lower() == "chunked":
        body = bytearray()
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
            if len(body) > MESSAGE_BYTES_MAX:
                raise OSError("too long")
        await reader.readline()
        return bytes(body)
    if length is not None:
        if int(length) > MESSAGE_BYTES_MAX:
            raise OSError("too long")
        return await reader.readexactly(int(length))
    return await reader.read(-1) if until_end else b""


async def read_request(reader):
    head = await read_head(reader)
    if head is None:
        return None
    method, target, _ = head[0].split(" ", 2)
    request = Request(method, target, head[1], b"")
    request.body = await read_body(reader, request, False)
    return request


async def exchange(upstream, request, cut=None):
    """Sends a request and reads the answer; `None` when there is none. With `cut`, only that share of the body is sent, and
    the connection ends."""
    try:
        reader, writer = await asyncio.open_connection(*upstream, limit=1 << 20)
    except OSError:
        return None
    try:
        writer.write(request.head())
        if cut is not None:
            writer.write(request.body[: min(int(len(request.body) * cut), len(request.body) - 1)])
            await writer.drain()
            return None
        writer.write(request.body)
        await writer.drain()
        async with asyncio.timeout(UPSTREAM_SECONDS):
            head = await read_head(reader)
            if head is None:
                return None
            answer = Answer(int(head[0].split(" ")[1]), head[1], b"")
            answer.body = await read_body(reader, answer, True)
            return answer
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
    finally:
        writer.close()


def reset(writer):
    """Ends a connection as a crash of the other side does."""
    peer = writer.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
