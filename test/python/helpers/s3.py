"""An S3 server on loopback (`rclone serve s3`, which checks signatures), and a proxy before it that breaks things."""
import hashlib
import hmac
import http.client
import io
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

ACCESS_KEY, SECRET_KEY = "AKQUESTDBTEST", "SKqUEsTdBtEsT/secret+key"
REGION = "us-east-1"
BUCKET = "exports"


def program():
    """The server's program, which requirements.txt installs beside Python."""
    beside = Path(sys.executable).parent / "rclone"
    return str(beside) if beside.is_file() else shutil.which("rclone")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """The server, with one bucket, whose objects are files below `root`."""

    def __init__(self, directory):
        self.root = directory / "s3"
        (self.root / BUCKET).mkdir(parents=True)
        self.log = open(directory / "rclone.log", "wb")
        self.start(free_port())

    def start(self, port):
        self.port = port
        environment = {**os.environ, "RCLONE_CONFIG": os.devnull}
        self.process = subprocess.Popen(
            [program(), "serve", "s3", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--addr", f"127.0.0.1:{port}",
             "--vfs-cache-mode", "off", str(self.root)], stdout=self.log, stderr=self.log, env=environment)
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("the S3 server did not start") from None
                time.sleep(0.05)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def objects(self, prefix=""):
        """The bytes of each object below `prefix`, by key."""
        bucket = self.root / BUCKET
        # The server keeps parts of unfinished uploads in hidden files.
        files = (path for path in bucket.rglob("*") if path.is_file() and not path.name.startswith(".rclone"))
        found = {str(path.relative_to(bucket)): path for path in files}
        return {key: path.read_bytes() for key, path in sorted(found.items()) if key.startswith(prefix)}

    def uploads(self):
        """Keys of the uploads that are not finished."""
        try:
            text = self.request("GET", f"/{BUCKET}", "uploads=")
        except urllib.error.HTTPError as e:
            if e.code == 404:       # its way to say that there is none
                return []
            raise
        return re.findall(r"<Upload>.*?<Key>(.*?)</Key>", text, re.S)

    def request(self, method, path, query=""):
        """A signed request and its answer."""
        now = datetime.now(timezone.utc)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        host, empty = f"127.0.0.1:{self.port}", hashlib.sha256(b"").hexdigest()
        headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": stamp}
        names = ";".join(headers)
        canonical = "\n".join([method, quote(path), query, *[f"{k}:{v}" for k, v in headers.items()], "", names, empty])
        scope = f"{day}/{REGION}/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{SECRET_KEY}".encode()
        for part in (day, REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}"
        request = urllib.request.Request(f"{self.endpoint}{quote(path)}?{query}", method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()


def storage(endpoint, bucket=BUCKET, access_key=ACCESS_KEY, secret_key=SECRET_KEY, **options):
    """The value of the option `storage` as SQL."""
    options = {"endpoint": endpoint, "allow_http": True, "max_retries": 2, **options}
    texts = ", ".join(f"'{name}': {str(value).lower() if isinstance(value, (bool, int)) else repr(value)}" for name, value in options.items())
    return (f"{{'type': 'S3', 'bucket': '{bucket}', 'credentials': {{'access_key': '{access_key}', 'secret_key': '{secret_key}'}}, "
            f"'options': {{{texts}}}}}")


class Proxy:
    """Passes requests on to a server. `rule(method, path, query)` may return what happens to one instead:

    None            it is passed on
    503             this status, without asking the server
    "reset"         the connection is reset, without asking the server
    "lost"          it is passed on, and the connection is reset before the answer
    1.5             it is passed on after so many seconds
    """

    def __init__(self, port, rule=lambda *request: None):
        self.rule, self.upstream, self.requests = rule, port, []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                path, _, query = self.path.partition("?")
                proxy.requests.append((self.command, path, query))
                fault = proxy.rule(self.command, path, query)
                if fault == "reset":
                    return self.reset()
                if isinstance(fault, int):
                    text = b"<Error><Code>InjectedFault</Code><Message>as the test wants it</Message></Error>"
                    self.send_response(fault)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                    return None
                if isinstance(fault, float):
                    time.sleep(fault)
                upstream = http.client.HTTPConnection("127.0.0.1", proxy.upstream, timeout=60)
                upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    upstream.putheader(name, value)
                upstream.endheaders(body)
                answer = upstream.getresponse()
                text = answer.read()
                if fault == "lost":
                    return self.reset()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", answer.getheader("Content-Length") if self.command == "HEAD" else str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                return upstream.close()

            def reset(self):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                self.wfile = self.rfile = io.BytesIO()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, *args):
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass                # clients go away in the middle; that is what is tested

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
