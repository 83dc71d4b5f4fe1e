"""Starts the real program, on a port that is free."""

import json
import os
import subprocess

import openai
import pytest

KEY = "sk-a-key-for-the-tests"


class Server:
    def __init__(self, directory, *arguments, key=KEY):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRITONE_")}
        for name in ("CONFIG", "DATA", "CACHE", "STATE"):
            environment[f"XDG_{name}_HOME"] = str(directory)
        if key:
            environment["TRITONE_API_KEY"] = key
        program = [os.environ["TRITONE"], "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            program, env=environment, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.ready = json.loads(line)
        self.url = self.ready["url"]

    def client(self, **options):
        return openai.OpenAI(**{"base_url": self.url + "/v1", "api_key": KEY, "max_retries": 0, **options})

    def stop(self):
        self.process.terminate()
        try:
            self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def client(server):
    return server.client()


@pytest.fixture
def start(tmp_path):
    servers = []

    def start(*arguments, **options):
        servers.append(Server(tmp_path, *arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
