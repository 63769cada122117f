"""What people ask a web server."""

from service import Request

GOOD = r"HTTP/1\.[01] 2"
HEADER = r"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300\r\n\r\n"
POST_WORDS = ["--send", HEADER + 300 * "x", "--until", "http"]
TLS_WORDS = ["--tls", "--ca-file", "@CERT@", "--preset", "http"]


# A server that writes header and body apart, with Nagle's algorithm on.
STALLS, WOULD_STALL = "nagle-delayed-ack/server", "stall-when-persistent/server"


def get(path="/", expect="ok", name=None):
    return Request(name or f"GET {path}", ["--preset", "http", "--path", path], expect, GOOD)


def large(expect="ok"):
    return get("/large", expect, "GET of 200 kB")


def fresh(expect="ok"):
    return Request("GET, a connection each", ["--preset", "http", "--new-connection"], expect, GOOD)


def post(expect="ok"):
    return Request("POST in one write", POST_WORDS, expect, GOOD)


# A server that answers the header alone delays the ACK of the body, for which every second request
# waits: fewer than half, which a machine that is late itself can hide.
SOMETIMES = "nagle-delayed-ack/client or ok"


def split_post(expect="nagle-delayed-ack/client"):
    """Header and body in two writes, as client libraries do."""
    size = len(HEADER.replace(r"\r\n", "12"))
    return Request("POST, header and body apart", [*POST_WORDS, "--split", str(size)], expect, GOOD)


def tls(expect="ok"):
    return Request("GET over TLS", TLS_WORDS, expect)
