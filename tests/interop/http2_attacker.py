"""Sends what no HTTP/2 client sends. Arguments: host, port, file with the authority's certificate.

Fails when a malformed request is answered as if it were none, when a broken connection goes on, or when afterwards a clean client is not
served. RFC 9113 throughout; frames and header blocks are made by hyperframe and hpack (of h2), which check nothing."""
import socket
import ssl
import struct
import sys
import time

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame,
)

HOST, PORT, AUTHORITY = sys.argv[1], int(sys.argv[2]), sys.argv[3]
GET = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/livez")]
POST = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/v1/auth/login"), ("content-type", "application/json")]
# how long a clean client waits at most, in seconds
PATIENCE = 5

context = ssl.create_default_context(cafile=AUTHORITY)
context.set_alpn_protocols(["h2"])


class Connection:
    def __init__(self, settings=None):
        self.socket = context.wrap_socket(socket.create_connection((HOST, PORT), timeout=PATIENCE), server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.encoder, self.decoder, self.open, self.received = Encoder(), Decoder(), True, b""
        self.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0, settings=settings or {}).serialize())

    def raw(self, data):
        """Sends, unless the other side has hung up."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.open = False
        return self.open

    def headers(self, fields, stream=1, end=True):
        return self.raw(self.block(fields, stream, end))

    def block(self, fields, stream=1, end=True):
        frame = HeadersFrame(stream, self.encoder.encode(fields, huffman=False))
        frame.flags |= {"END_HEADERS"} | ({"END_STREAM"} if end else set())
        return frame.serialize()

    def data(self, data, stream=1, end=True):
        frame = DataFrame(stream, data)
        if end:
            frame.flags.add("END_STREAM")
        return self.raw(frame.serialize())

    def outcome(self, seconds=PATIENCE, stream=1, pong=False):
        """`200` and the like, `reset`, `goaway`, `closed`, or `silence`; if wanted, `pong`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            while len(self.received) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.received[:9]))
                if len(self.received) < 9 + length:
                    break
                frame.parse_body(memoryview(self.received[9:9 + length]))
                self.received = self.received[9 + length:]
                if isinstance(frame, HeadersFrame):
                    status = dict(self.decoder.decode(frame.data))[":status"]
                    if frame.stream_id == stream:
                        return status
                elif isinstance(frame, RstStreamFrame) and frame.stream_id == stream:
                    return "reset"
                elif isinstance(frame, GoAwayFrame):
                    return "goaway"
                elif pong and isinstance(frame, PingFrame) and "ACK" in frame.flags:
                    return "pong"
            try:
                self.socket.settimeout(max(0.01, deadline - time.monotonic()))
                received = self.socket.recv(65536)
            except TimeoutError:
                return "silence"
            except OSError:
                return "closed"
            if not received:
                return "closed"
            self.received += received
        return "silence"


failures = []


def judge(name, got, allowed):
    print(f"{'ok ' if got in allowed else 'BAD'} {name}: {got}")
    if got not in allowed:
        failures.append(f"{name}: {got}")


def serves(after):
    begun = time.monotonic()
    try:
        connection = Connection()
        connection.headers(GET)
        got = connection.outcome()
    except OSError as error:
        got = str(error)
    judge(f"a clean client after {after}, {time.monotonic() - begun:.1f} s", got, {"200"})


def without(name):
    return [field for field in GET if field[0] != name]


def changed(name, value):
    return [(key, value if key == name else old) for key, old in GET]


MALFORMED = {
    "a name in upper case": GET + [("X-Upper", "a")],
    "connection": GET + [("connection", "close")],
    "keep-alive": GET + [("keep-alive", "timeout=5")],
    "proxy-connection": GET + [("proxy-connection", "close")],
    "transfer-encoding": GET + [("transfer-encoding", "chunked")],
    "upgrade": GET + [("upgrade", "h2c")],
    "te with more than trailers": GET + [("te", "gzip")],
    "no method": without(":method"),
    "no scheme": without(":scheme"),
    "no path": without(":path"),
    "no authority and no host": without(":authority"),
    "two methods": GET + [(":method", "POST")],
    "two paths": GET[:1] + [(":path", "/readyz")] + GET[1:],
    "two schemes": [(":scheme", "http")] + GET,
    "two authorities": [(":authority", "evil.example")] + GET,
    "a pseudo header after a field": GET[:3] + [("accept", "*/*")] + GET[3:],
    "an unknown pseudo header": [(":other", "a")] + GET,
    "an answer's pseudo header": [(":status", "200")] + GET,
    "an empty path": changed(":path", ""),
    "a path without its slash": changed(":path", "livez"),
    "a star": changed(":path", "*"),
    "a path with a space": changed(":path", "/livez HTTP/1.1"),
    "a path with a line end": changed(":path", "/livez\r\nx: y"),
    "a path with a NUL": changed(":path", "/livez\0"),
    "a method that is none": changed(":method", "G(T"),
    "a method with a line end": changed(":method", "GET / HTTP/1.1\r\nx: y"),
    "an empty method": changed(":method", ""),
    "an authority with a space": changed(":authority", "local host"),
    "an authority with a line end": changed(":authority", "localhost\r\nx: y"),
    "an authority with a name in it": changed(":authority", "evil.example@localhost"),
    "an authority with a path": changed(":authority", "localhost/x"),
    "another host than the authority": GET + [("host", "evil.example")],
    "two hosts": without(":authority") + [("host", "localhost"), ("host", "evil.example")],
    "a line feed in a value": GET + [("x", "a\nb")],
    "a carriage return in a value": GET + [("x", "a\rb")],
    "a NUL in a value": GET + [("x", "a\0b")],
    "a space in a name": GET + [("x y", "a")],
    "a colon in a name": GET + [("x:y", "a")],
    "a line end in a name": GET + [("x\r\ny", "a")],
    "an empty name": GET + [("", "a")],
    "a length without a body": GET + [("content-length", "5")],
    "two lengths": GET + [("content-length", "0"), ("content-length", "5")],
    "a length that is none": GET + [("content-length", "five")],
    "a signed length": GET + [("content-length", "+0")],
    "a tunnel": [(":method", "CONNECT"), (":authority", "evil.example:443")],
    "a head of 200 kB": GET + [(f"x{number}", "a" * 2000) for number in range(100)],
    "ten thousand fields": GET + [("x", "y")] * 10_000,
}


def malformed():
    for name, fields in MALFORMED.items():
        connection = Connection()
        block = connection.encoder.encode(fields, huffman=False)
        pieces = [block[at:at + 16_000] for at in range(0, len(block), 16_000)]
        first = HeadersFrame(1, pieces[0], flags=["END_STREAM"] + (["END_HEADERS"] if len(pieces) == 1 else []))
        rest = [ContinuationFrame(1, piece) for piece in pieces[1:]]
        if rest:
            rest[-1].flags.add("END_HEADERS")
        connection.raw(b"".join(frame.serialize() for frame in [first, *rest]))
        judge(name, connection.outcome(), {"400", "431", "reset", "goaway", "closed"})
    refused = {"400", "reset", "goaway", "closed"}
    for name, length, body in [("a body shorter than its length", "10", b"{}"), ("a body longer than its length", "2", b"{}        ")]:
        connection = Connection()
        connection.headers(POST + [("content-length", length)], end=False)
        connection.data(body)
        judge(name, connection.outcome(), refused)
    connection = Connection()
    connection.headers(POST, end=False)
    connection.data(b"{}", end=False)
    connection.headers([(":path", "/livez")])
    judge("a pseudo header behind the body", connection.outcome(), refused | {"422"})
    serves("malformed requests")


def unread_bodies():
    """A refusal is whole, and nothing resets its stream behind it: there are clients that would lose it."""
    connection = Connection()
    connection.headers([(":method", "PATCH"), *POST[1:3], (":path", "/v1/me"), ("content-type", "application/json")], end=False)
    judge("a call whose body is not read", connection.outcome(), {"401"})
    ping = PingFrame(0, b"12345678").serialize()
    connection.raw(ping)
    judge("its stream", connection.outcome(pong=True), {"pong"})
    connection.data(b"{}")
    connection.raw(ping)
    judge("its stream, when the body has come", connection.outcome(pong=True), {"pong"})
    serves("a body that nobody read")


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def broken_frames():
    ended = {"goaway", "closed", "reset"}
    for name, raw in {
        "data without a stream": frame(0, 1, 0, b"x"),
        "a head without a stream": frame(1, 5, 0, b"\x82"),
        "an even stream": frame(1, 5, 2, Encoder().encode(GET)),
        "data for a stream that nobody opened": frame(0, 1, 7, b"x"),
        "settings in a stream": frame(4, 0, 1, b""),
        "settings of an odd length": frame(4, 0, 0, b"12345"),
        "settings with a window beyond all": frame(4, 0, 0, struct.pack(">HI", 4, 0xFFFFFFFF)),
        "settings with push that is neither": frame(4, 0, 0, struct.pack(">HI", 2, 2)),
        "an answer to settings with a body": frame(4, 1, 0, b"123456"),
        "a ping of an odd length": frame(6, 0, 0, b"1234567"),
        "a promise by a client": frame(5, 4, 1, struct.pack(">I", 2) + Encoder().encode(GET)),
        "a continuation of nothing": frame(9, 4, 1, b"\x82"),
        "a head that is no HPACK": frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        "padding longer than its frame": frame(0x0, 9, 1, b"\xff"),
        "a frame longer than agreed": frame(0, 1, 1, b"x" * 20_000),
        "no window at all": frame(8, 0, 0, struct.pack(">I", 0)),
        "a window beyond all": frame(8, 0, 0, struct.pack(">I", 0x7FFFFFFF)) * 2,
        "a reset without a stream": frame(3, 0, 0, struct.pack(">I", 8)),
        "a reset of a stream that nobody opened": frame(3, 0, 9, struct.pack(">I", 8)),
    }.items():
        connection = Connection()
        connection.raw(raw)
        judge(name, connection.outcome(stream=1), ended)
    connection = Connection()
    connection.raw(HeadersFrame(1, connection.encoder.encode(GET)).serialize() + PingFrame(0, b"12345678").serialize())
    judge("a frame inside a head", connection.outcome(), ended)
    connection = Connection()
    connection.headers(POST, end=False)
    connection.raw(WindowUpdateFrame(1, window_increment=0x7FFFFFFF).serialize() * 2)
    judge("a stream's window beyond all", connection.outcome(), ended)
    connection = Connection()
    connection.raw(connection.block(POST, end=False) + connection.block(POST, 3, False)[:9].replace(b"\0\0\0\3", b"\0\0\0\1"))
    serves("broken frames")


def floods():
    connection = Connection()
    connection.raw(HeadersFrame(1, connection.encoder.encode(GET)).serialize())
    piece = ContinuationFrame(1, Encoder().encode([("x", "y" * 4000)], huffman=False)).serialize()
    held = sum(connection.raw(piece) for _ in range(5000))
    judge("a head without end", connection.outcome(), {"goaway", "closed", "reset", "431"})
    judge("a head of 20 MB was not taken", str(held < 5000 or not connection.raw(piece)), {"True"})
    serves("a head without end")

    connection = Connection()
    for stream in range(1, 4001, 2):
        if not connection.raw(connection.block(GET, stream) + RstStreamFrame(stream, error_code=8).serialize()):
            break
    judge("two thousand requests and resets", connection.outcome(stream=-1), {"goaway", "closed"})
    serves("a reset flood")

    connection = Connection()
    for stream in range(1, 4001, 2):
        # a window beyond all makes the server reset its own stream (CVE-2025-8671)
        broken = WindowUpdateFrame(stream, window_increment=0x7FFFFFFF).serialize()
        if not connection.raw(connection.block(POST, stream, False) + broken):
            break
    judge("two thousand streams that the server must reset", connection.outcome(stream=-1), {"goaway", "closed"})
    serves("a made-to-reset flood")

    for name, one in {
        "settings": SettingsFrame(0, settings={1: 4096}).serialize(),
        "pings": PingFrame(0, b"12345678").serialize(),
        "priorities": frame(2, 0, 1, b"\0\0\0\0\x10"),
        "frames that nobody knows": frame(0xEE, 0, 0, b"x"),
    }.items():
        connection, begun = Connection(), time.monotonic()
        # answers are not read
        connection.socket.settimeout(1)
        for _ in range(200):
            if not connection.raw(one * 500):
                break
        serves(f"a flood of {name}")

    connection = Connection()
    connection.headers(POST, end=False)
    for _ in range(100):
        if not connection.raw(DataFrame(1, b"").serialize() * 500):
            break
    serves("a flood of empty data")

    connection = Connection()
    for stream in range(1, 1001, 2):
        if not connection.headers(POST, stream, False):
            break
    judge("five hundred open streams, the last one", connection.outcome(stream=999), {"reset", "goaway", "closed"})
    serves("too many streams")

    greedy = []
    for _ in range(30):
        connection = Connection({4: 0})
        for stream in range(1, 101, 2):
            connection.headers([(key, "/docs/swagger-ui-bundle.js" if key == ":path" else value) for key, value in GET], stream)
        greedy.append(connection)
    serves("thirty clients that take no answer")


unread_bodies()
malformed()
broken_frames()
floods()
sys.exit("\n".join(failures) or None)
