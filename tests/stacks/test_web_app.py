"""The application of the web tier, run as its instances run it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from stacks.compute.web import app

SOURCE = Path(app.__file__)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), app.Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_it_tells_that_it_is_healthy_and_where_it_is(url: str) -> None:
    """OPT-02: the health check's path, and the region that answers."""
    assert httpx.get(f"{url}/health?probe=1", trust_env=False).json() == {"status": "ok"}
    answer = httpx.get(url, trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"service": "web", "region": "eu-west-1"})
    assert answer.headers["content-type"] == "application/json"
    assert httpx.get(f"{url}/other", trust_env=False).status_code == 404
    assert "python" not in answer.headers["server"].lower()


def test_head_has_no_body_and_the_connection_serves_on(url: str) -> None:
    """OPT-02: a load balancer keeps its connections."""
    with httpx.Client(trust_env=False) as client:
        assert client.head(url).content == b""
        assert client.get(f"{url}/health").json() == {"status": "ok"}
    assert httpx.post(url, trust_env=False).status_code == 501


def test_a_connection_is_kept_longer_than_the_load_balancer_keeps_it() -> None:
    """OPT-02: else requests meet a closing target and end in 502 (load balancer's idle timeout: 60 s)."""
    assert app.Application.timeout > 60


def test_it_needs_nothing_but_python_3_9() -> None:
    """OPT-02: Amazon Linux 2023 brings Python 3.9; nothing can be installed in the private subnets."""
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 9))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules <= set(sys.stdlib_module_names)


def test_it_starts_by_its_file_on_the_port_it_is_given(tmp_path: Path) -> None:
    """OPT-02: as the unit starts it, away from this repository."""
    copy = tmp_path / "app.py"
    copy.write_bytes(SOURCE.read_bytes())
    script = (
        "import runpy, sys, http.server as h\n"
        "h.ThreadingHTTPServer.serve_forever = lambda self: print(self.server_port)\n"
        f"sys.argv = ['app.py', '0']\nrunpy.run_path({str(copy)!r}, run_name='__main__')"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", script], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) > 0
