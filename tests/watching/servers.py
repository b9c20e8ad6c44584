"""A real server that keeps what is posted to it, and a command that keeps what it is told."""

from __future__ import annotations

import http.server
import json
import sys
import threading


class Server:
    """Keeps what is posted to it; answers with `status`."""

    def __init__(self, status=204):
        got = self.got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook/secret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def keeping(path):
    return f'{sys.executable} -c "import sys,os; open({str(path)!r}, chr(97)).write(sys.stdin.read() + os.environ[{"GRADLENS_MESSAGE"!r}] + chr(10))"'
