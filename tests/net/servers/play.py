"""A server that plays a script for each request, for tests of verdicts on paths.

    play.py PORT REQUEST-BYTES [OPTION…] STEP…

Steps: w:N writes N bytes, s:MS sleeps, cork:1 and cork:0 set TCP_CORK, unsent waits until the
kernel has sent all that was written and the peer has acknowledged it, `/` ends a script: the next
request plays the next script, in turns.
Options: nagle leaves TCP_NODELAY off; sndbuf=N; rcvbuf=N; quickack acknowledges at once whatever is
read; slow=BYTES:MS reads that much of each request and then pauses.

A thread a connection, with blocking calls, so that a script reads like the servers that have it."""

import fcntl
import socket
import struct
import sys
import threading
import time

SIOCOUTQ = 0x5411


def step(sock, word):
    verb, _, value = word.partition(":")
    if verb == "w":
        sock.sendall(bytes(int(value)))
    elif verb == "s":
        time.sleep(float(value) / 1000)
    elif verb == "cork":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, int(value))
    elif verb == "unsent":
        while struct.unpack("i", fcntl.ioctl(sock, SIOCOUTQ, b"\0\0\0\0"))[0]:
            time.sleep(0.0002)
    else:
        raise ValueError(word)


def read_request(sock, size, options):
    slow_bytes, slow_ms = (options.get("slow") or "0:0").split(":")
    left = size
    while left:
        if "quickack" in options:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        got = len(sock.recv(min(left, 65536)))
        if not got:
            return False
        if int(slow_bytes) and left > size - int(slow_bytes) >= left - got:
            time.sleep(float(slow_ms) / 1000)
        left -= got
    if "quickack" in options:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return True


def serve(sock, size, options, scripts):
    turn = 0
    try:
        if "nagle" not in options:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while read_request(sock, size, options):
            for word in scripts[turn % len(scripts)]:
                step(sock, word)
            turn += 1
    except OSError:
        pass
    sock.close()


def main():
    port, size, words = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    options, scripts = {}, [[]]
    for word in words:
        if word == "/":
            scripts.append([])
        elif ":" in word and "=" not in word or word == "unsent":
            scripts[-1].append(word)
        else:
            name, _, value = word.partition("=")
            options[name] = value
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for name, option in (("sndbuf", socket.SO_SNDBUF), ("rcvbuf", socket.SO_RCVBUF)):
        if name in options:
            listener.setsockopt(socket.SOL_SOCKET, option, int(options[name]))
    listener.bind(("::", port))
    listener.listen(1024)
    while True:
        sock = listener.accept()[0]
        threading.Thread(target=serve, args=(sock, size, options, scripts), daemon=True).start()


if __name__ == "__main__":
    main()
