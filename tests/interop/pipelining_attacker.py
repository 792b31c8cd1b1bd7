"""Connections over HTTP/1.1 that send request after request and read no answer. Arguments: port, authority, connections, seconds."""

import socket
import ssl
import sys
import threading
import time

port, authority, connections, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
context = ssl.create_default_context(cafile=authority)
context.set_alpn_protocols(["http/1.1"])
requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 600
end = time.monotonic() + seconds
sent = [0] * connections


def one(index):
    while time.monotonic() < end:
        try:
            with socket.socket() as tcp:
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                tcp.settimeout(1)
                tcp.connect(("127.0.0.1", port))
                with context.wrap_socket(tcp, server_hostname="localhost") as tls:
                    while time.monotonic() < end:
                        tls.sendall(requests)
                        sent[index] += 600
        except OSError:
            # full, or hung up on: again
            time.sleep(0.1)


threads = [threading.Thread(target=one, args=(index,)) for index in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sum(sent), "requests sent")
