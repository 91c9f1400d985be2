"""The application that the web tier's instances run, with nothing but the Python that Amazon Linux 2023 brings.

A file of its own, fetched and started by `user_data.py`: it imports nothing of this repository.
"""

from __future__ import annotations

import json
import os
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080
# A client, or a load balancer's idle connection, that sends nothing for so long is left (s); more than the load
# balancer's own 60 s, so that it is never the target that hangs up first.
IDLE_S = 75


class Application(BaseHTTPRequestHandler):
    """`/health` for the load balancer, `/` for callers, 404 for the rest."""

    protocol_version = "HTTP/1.1"
    server_version = "web"
    sys_version = ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/health":
            self._answer(HTTPStatus.OK, {"status": "ok"})
        elif path == "/":
            self._answer(HTTPStatus.OK, {"service": "web", "region": os.environ.get("AWS_REGION", "")})
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "not found"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the load balancer writes the access log."""

    def _answer(self, status: HTTPStatus, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1]) if len(sys.argv) > 1 else PORT), Application).serve_forever()
