"""jsii's kernel runs as a direct child, and as jsii would run it where that does not work."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Says whose the kernel is, an answer of it, and how many processes there are below this one.
PROGRAM = """
import os, sys
{before}
from rollout.sandbox.processes import descendants
from shared.provider import import_cdktf
import_cdktf()
import_cdktf()
import jsii
from cdktf import App, Token
from jsii._kernel.providers.process import _NodeProcess

print(jsii.kernel.provider._process.__class__.__name__)
print(Token.is_unresolved(App(outdir=sys.argv[1]).node.path))
print(len(descendants(os.getpid())))
"""


def run(folder: object, before: str = "") -> tuple[list[str], str]:
    """(what the program said, what stderr said)."""
    program = PROGRAM.format(before=before)
    done = subprocess.run([sys.executable, "-c", program, str(folder)], check=True, capture_output=True, text=True)
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    ("before", "said"),
    [
        # One that starts and says nothing, and one that ends at once.
        ("import shared.kernel as k; k.HELLO_S = 0.5; k._OPTIONS = ('-e', 'setTimeout(() => 0, 60000)')", "Timeout"),
        ("import shared.kernel as k; k._OPTIONS = ('--no-such-option',)", "JSONDecodeError"),
        ("import shared.kernel as k; k.DirectProcess._jsii_runtime = lambda self: '/no/such/file'", "FileNotFound"),
    ],
)
def test_jsii_starts_its_kernel_where_it_cannot_be_started_directly(tmp_path: object, before: str, said: str) -> None:
    answers, warning = run(tmp_path, before)
    assert answers == ["_NodeProcess", "False", "2"]
    assert "jsii starts it" in warning
    assert said in warning


def test_the_kernel_is_one_process(tmp_path: object) -> None:
    assert run(tmp_path) == (["DirectProcess", "False", "1"], "")


def test_a_runtime_of_ones_own_is_left_to_jsii(tmp_path: object) -> None:
    own = "import jsii._embedded.jsii as j; os.environ['JSII_RUNTIME'] = j.__path__[0] + '/own.js'"
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(tmp_path, own)
    assert "own.js" in failed.value.stderr or "JSONDecodeError" in failed.value.stderr
