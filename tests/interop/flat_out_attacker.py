"""Connections over HTTP/1.1 that send as fast as they can and read no answer until nothing more is taken, then a few: now there is room
for all that has been sent. Arguments: what, port, authority, connections, seconds.

`requests`: one after the other. `blank-lines`: a body that nobody wants, full of what ends a request's head."""

import socket
import ssl
import sys
import threading
import time

what, port, authority, connections, seconds = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
opening, again, counted = {
    "requests": (b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 40, 40),
    "blank-lines": (b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n", b"a\n\n" * 5000, 5000),
}[what]
context = ssl.create_default_context(cafile=authority)
context.set_alpn_protocols(["http/1.1"])
end = time.monotonic() + seconds
sent = [0] * connections


def one(index):
    while time.monotonic() < end:
        try:
            with socket.socket() as tcp:
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                tcp.settimeout(2)
                tcp.connect(("127.0.0.1", port))
                with context.wrap_socket(tcp, server_hostname="localhost") as tls:
                    try:
                        tls.sendall(opening)
                        while time.monotonic() < end:
                            tls.sendall(again)
                            sent[index] += counted
                    except TimeoutError:
                        full = time.monotonic()
                        while time.monotonic() < full + 4 and tls.recv(65536):
                            pass
        except OSError:
            # hung up on: again
            time.sleep(0.1)


threads = [threading.Thread(target=one, args=(index,)) for index in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sum(sent), what, "sent")
