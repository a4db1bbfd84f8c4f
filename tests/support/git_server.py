#!/usr/bin/env python3
"""Serves Git repositories through the stock `git http-backend`, by HTTP or HTTPS on loopback.

The first part of a URL says how, the rest is a path below --folder:
  /git/       as a Git server does
  /private/   for the user and password of --credentials (a file "user:password") only
  /mutual/    for clients with a certificate of --client-ca only
  /dumb/      as plain files, the protocol of servers that know nothing of Git
  /redirect/  302 to /git/
  /hang/      takes the request and never answers
  /stall/     answers a fetch with its first bytes, and never goes on
Writes its port into --port-file when it listens, and one line for each request into --log.
"""

import argparse
import base64
import http.server
import os
import ssl
import subprocess
import threading
from pathlib import Path

STALL_AFTER_BYTES = 512
BLOCK_BYTES = 1 << 16


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "GitServer"

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self) -> None:
        self.close_connection = True
        self.server.note(f"{self.command} {self.path}")
        body = self.read_body()
        path, _, query = self.path.partition("?")
        how, _, rest = path.lstrip("/").partition("/")
        if how == "hang":
            self.wait_for_client()
        elif how == "redirect":
            self.refuse(302, Location=f"/git/{self.path.removeprefix('/redirect/')}")
        elif how == "private" and self.headers.get("Authorization") != self.server.authorization:
            self.refuse(401, **{"WWW-Authenticate": 'Basic realm="git"'})
        elif how == "mutual" and not self.connection.getpeercert():
            self.refuse(403)
        elif how == "dumb":
            self.send_file(rest)
        elif how in ("git", "private", "mutual", "stall"):
            self.run_backend(rest, query, body, stalls=how == "stall" and b"command=fetch" in body)
        else:
            self.refuse(404)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def refuse(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_file(self, path: str) -> None:
        file = (self.server.folder / path).resolve()
        if not file.is_relative_to(self.server.folder) or not file.is_file():
            return self.refuse(404)
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    # RFC 3875. Chunked, because a TLS client does not take a closed connection for the end of a body.
    def run_backend(self, path: str, query: str, body: bytes, stalls: bool) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "PATH_INFO": f"/{path}",
            "QUERY_STRING": query,
            "REMOTE_ADDR": "127.0.0.1",
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        with subprocess.Popen(
            ["git", "http-backend"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as backend:
            threading.Thread(target=self.feed, args=(backend, body), daemon=True).start()
            status = 200
            headers = []
            while line := backend.stdout.readline().strip().decode():
                name, _, value = line.partition(": ")
                if name == "Status":
                    status = int(value.split()[0])
                else:
                    headers.append((name, value))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if stalls:
                self.send_chunk(backend.stdout.read(STALL_AFTER_BYTES))
                self.wait_for_client()
                backend.kill()
            try:
                while block := backend.stdout.read1(BLOCK_BYTES):
                    self.send_chunk(block)
                self.send_chunk(b"")
            except OSError:  # the client is gone
                backend.kill()

    def send_chunk(self, block: bytes) -> None:
        self.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")

    @staticmethod
    def feed(backend: subprocess.Popen, body: bytes) -> None:
        try:
            backend.stdin.write(body)
            backend.stdin.close()
        except OSError:  # it has ended without reading all
            pass

    def wait_for_client(self) -> None:
        try:
            while self.connection.recv(BLOCK_BYTES):
                pass
        except OSError:
            pass


class GitServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = options.folder.resolve()
        self.log = options.log
        self.lock = threading.Lock()
        self.authorization = ""
        if options.credentials:
            text = options.credentials.read_text().strip()
            self.authorization = "Basic " + base64.b64encode(text.encode()).decode()
        self.tls = None
        if options.certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(options.certificate, options.key)
        if options.client_ca:
            self.tls.load_verify_locations(options.client_ca)
            self.tls.verify_mode = ssl.CERT_OPTIONAL

    def finish_request(self, request, client_address) -> None:
        try:
            if self.tls:
                request = self.tls.wrap_socket(request, server_side=True)
            super().finish_request(request, client_address)
        except OSError:  # a client that does not trust this server, or left
            pass

    def note(self, line: str) -> None:
        if self.log:
            with self.lock, self.log.open("a") as file:
                file.write(line + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--credentials", type=Path)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--client-ca")
    options = parser.parse_args()
    server = GitServer(options)
    temporary = options.port_file.with_suffix(".new")
    temporary.write_text(str(server.server_port))
    temporary.rename(options.port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
