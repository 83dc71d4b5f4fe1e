"""A server of llama.cpp's family that has the quirks of bitnet.cpp's, and falls ill when it is asked to.

What a prompt says decides what happens: `crash` and `hang` in the middle of an answer, `think` for long before one, `fail` an error in the form
that bitnet.cpp gives it, `slow` a long answer. Requests are written to the file --record, one JSON object a line.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--model")
parser.add_argument("--record", type=Path)
parser.add_argument("--say", help="written to the errors at the start")
parser.add_argument("--exit", type=int, help="ends at once with this code")
parser.add_argument("--taken", type=Path, help="says that the port is taken until this file is there, which is made")
parser.add_argument("--loads", type=float, default=0, help="seconds until the model is loaded")
parser.add_argument("--no-stream-options", action="store_true", help="refuses requests with stream_options")
parser.add_argument("--stubborn", action="store_true", help="does not end when it is asked to")
parser.add_argument("--mute", action="store_true", help="answers no chat at all")
parser.add_argument("--grandchild", action="store_true", help="has a child of its own")
args = parser.parse_args()

TRANSCRIPTS = Path(__file__).parent / "transcripts"
STARTED = time.monotonic()
lock = threading.Lock()
writing = 0


def record(**what):
    if args.record:
        with lock, args.record.open("a") as file:
            file.write(json.dumps(what) + "\n")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, message):
        self.reply(status, {"error": {"code": status, "message": message, "type": "invalid_request_error"}})

    def allowed(self):
        if self.headers.get("Authorization") == "Bearer " + (os.environ.get("LLAMA_API_KEY") or os.environ["VLLM_API_KEY"]):
            return True
        self.refuse(401, "Invalid API Key")
        return False

    def do_GET(self):
        if time.monotonic() - STARTED < args.loads:
            self.refuse(503, "Loading model")
        elif self.path == "/health":
            while writing:  # all of its threads are busy
                time.sleep(0.05)
            self.reply(200, {"status": "ok"})
        elif self.path == "/v1/models" and self.allowed():
            self.reply(200, {"object": "list", "data": [{"id": "gpt-3.5-turbo", "owned_by": "llamacpp", "meta": {"n_params": 7}}]})

    def do_POST(self):
        global writing
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        record(path=self.path, body=body)
        if not self.allowed():
            return
        if args.no_stream_options and "stream_options" in body:
            self.refuse(500, "[json.exception.type_error.302] type must be boolean, but is object")
            return
        known = {"model", "messages", "prompt", "max_tokens", "n_predict", "temperature", "top_p", "top_k", "min_p",
                 "generation_config", "seed", "stop", "stream", "stream_options", "repeat_penalty", "frequency_penalty", "presence_penalty"}
        if not set(body) <= known:
            self.refuse(400, "unknown: " + ", ".join(set(body) - known))
            return
        if self.path == "/v1/embeddings":
            self.reply(501, {"error": {"message": "This server does not support embeddings."}})
            return
        with lock:
            writing += 1
        try:
            self.answer(body)
        except OSError:
            record(left=True)
        finally:
            with lock:
                writing -= 1
        self.close_connection = True

    def answer(self, body):
        if args.mute:
            time.sleep(1000)
        asked = body.get("prompt") or body["messages"][-1]["content"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        if asked == "fail":
            self.send((TRANSCRIPTS / "error.sse").read_text())
        elif self.path == "/v1/completions":
            self.send((TRANSCRIPTS / "completion.sse").read_text())
        elif asked == "think":
            until = time.monotonic() + 8
            while time.monotonic() < until:
                pass
        elif asked in ("crash", "hang", "slow"):
            for number in range(400):
                if number == 3 and asked == "crash":
                    os.kill(os.getpid(), signal.SIGKILL)
                if number == 3 and asked == "hang":
                    time.sleep(1000)
                chunk = {"choices": [{"index": 0, "delta": {"content": f"{number} "}, "finish_reason": None}]}
                self.send(f"data: {json.dumps(chunk)}\n\n")
                time.sleep(0.01)
        else:
            self.send((TRANSCRIPTS / "chat.sse").read_text())

    def send(self, text):
        self.wfile.write(text.encode())
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True


if args.say:
    print(args.say, file=sys.stderr)
if args.taken and not args.taken.exists():
    args.taken.touch()
    sys.exit("couldn't bind to server socket: hostname=127.0.0.1 port=%d: Address already in use" % args.port)
if args.exit is not None:
    sys.exit(args.exit)
if args.stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
record(pid=os.getpid(), directory=os.getcwd())
if args.grandchild:
    record(grandchild=subprocess.Popen(["sleep", "1000"]).pid)
print("listening", flush=True)
Server(("127.0.0.1", args.port), Handler).serve_forever()
