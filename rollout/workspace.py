"""Where everything that the engine writes lies, and nothing else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shared.contracts import StackId
from shared.errors import UsageError

PROJECT_FILE = "cdktf.json"
# A synthesized stack, in its folder.
STACK_FILE = "cdk.tf.json"


def project_root() -> Path:
    """The project that the command was called in: the nearest folder upwards with a `cdktf.json`, else the one that
    this package is part of."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    return Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Workspace:
    """The folders of one environment.

    Attributes
    ----------
    root
        The project.
    base
        ``.tripoint``, shared by all environments of the project; ``TRIPOINT_HOME`` moves it.
    suffix
        The environment's suffix; its files are in ``<base>/<suffix>``.
    outputs
        ``cfn-outputs/flat-outputs.json``; ``TRIPOINT_OUTPUTS`` moves it.
    """

    root: Path
    base: Path
    suffix: str
    outputs: Path

    @classmethod
    def of(cls, suffix: str, root: Path | None = None) -> Workspace:
        root = root or project_root()
        base = os.environ.get("TRIPOINT_HOME")
        outputs = os.environ.get("TRIPOINT_OUTPUTS")
        return cls(
            root=root,
            base=Path(base).resolve() if base else root / ".tripoint",
            suffix=suffix,
            outputs=Path(outputs).resolve() if outputs else root / "cfn-outputs" / "flat-outputs.json",
        )

    @property
    def home(self) -> Path:
        return self.base / self.suffix

    @property
    def functions(self) -> Path:
        """The functions' zips. They are the same for every environment."""
        return self.base / "functions"

    @property
    def plugins(self) -> Path:
        """Providers that were downloaded or unpacked: a filesystem mirror of our own."""
        return self.base / "plugins"

    @property
    def synth(self) -> Path:
        return self.home / "synth"

    @property
    def sandbox(self) -> Path:
        return self.home / "sandbox"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def terraform(self) -> Path:
        return self.home / "terraform"

    def make(self) -> None:
        """Make the folders that everything is written into.

        Raises
        ------
        UsageError
            When nothing can be written there: better now than after an hour of work.
        """
        for folder, variable in ((self.home, "TRIPOINT_HOME"), (self.outputs.parent, "TRIPOINT_OUTPUTS")):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                why = "" if os.access(folder, os.W_OK | os.X_OK) else "no permission"
            except OSError as error:
                why = str(error.strerror)
            if why:
                raise UsageError(f"{folder}: cannot be written into: {why}; {variable} names another place")

    def stack(self, stack: StackId) -> Path:
        """Terraform's working directory of a stack."""
        return self.synth / "stacks" / str(stack)

    def emptied(self, stack: StackId) -> Path:
        """Terraform's working directory of a stack that is destroyed by its state alone (rollout/retirement.py)."""
        return self.home / "emptied" / str(stack)

    def data(self, stack: StackId) -> Path:
        """TF_DATA_DIR of a stack. Not in its working directory, because that belongs to the synthesis."""
        return self.terraform / str(stack)

    def log(self, name: StackId | str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def shown(self, path: Path) -> str:
        """A path as a person types it: relative to the project where it lies in it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)
