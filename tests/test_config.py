"""Where configuration comes from, which source wins, and that everything wrong is said at once."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import config
from fleet.config import KEYS, Config, Key, load_config
from fleet.errors import StartupError
from fleet.network import is_loopback

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def no_file_of_mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the default configuration file where no user has one."""
    file = tmp_path / "default" / "config.toml"
    monkeypatch.setattr(config, "default_config_file", lambda: file)
    return file


def problems(flags: dict[str, str | None], environ: dict[str, str]) -> list[str]:
    with pytest.raises(StartupError) as caught:
        load_config(flags, environ)
    return str(caught.value).splitlines()[1:]


def write(file: Path, text: str) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


def test_defaults_serve_one_person_on_this_machine() -> None:
    found = load_config({}, {})
    assert (found.host, found.port, found.rehearsal, found.instance_policy) == ("127.0.0.1", 3000, "auto", "shared")
    assert found.opencode is None
    assert found.data_dir.is_absolute()
    assert found.data_dir.name == "fleet"
    assert found.workspace_roots == (Path("/"),)


def test_the_command_line_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "fleet.toml", 'port = 1\nrehearsal = "never"\ninstance_policy = "directory"\n')
    found = load_config({"port": "3", "config": file}, {"FLEET_PORT": "2", "FLEET_REHEARSAL": "always"})
    assert (found.port, found.rehearsal, found.instance_policy) == (3, "always", "directory")


def test_the_default_file_is_read_when_it_exists(no_file_of_mine: Path) -> None:
    write(no_file_of_mine, "port = 4000\n")
    assert load_config({}, {}).port == 4000


def test_a_named_file_replaces_the_default_one(no_file_of_mine: Path, tmp_path: Path) -> None:
    write(no_file_of_mine, "port = 4000\n")
    assert load_config({}, {"FLEET_CONFIG": write(tmp_path / "mine.toml", "")}).port == 3000


def test_an_empty_variable_counts_as_unset() -> None:
    assert load_config({}, {"FLEET_PORT": "", "FLEET_CONFIG": ""}).port == 3000


def test_relative_paths_start_where_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / "etc" / "fleet.toml", 'data_dir = "data"\nworkspace_roots = ["../work", "~/src"]\n')
    found = load_config({"config": file, "opencode": "bin/opencode"}, {})
    assert found.data_dir == tmp_path / "etc" / "data"
    assert found.workspace_roots == (tmp_path / "work", Path.home() / "src")
    assert found.opencode == tmp_path / "bin" / "opencode"


def test_several_roots_fit_in_one_text() -> None:
    found = load_config({}, {"FLEET_WORKSPACE_ROOTS": f"/one{os.pathsep}/two"})
    assert found.workspace_roots == (Path("/one"), Path("/two"))


def test_everything_wrong_is_said_at_once_with_its_origin(tmp_path: Path) -> None:
    file = write(tmp_path / "fleet.toml", 'prot = 1\ninstance_policy = "both"\n')
    said = problems({"config": file, "port": "70000"}, {"FLEET_REHEARSAL": "maybe", "FLEET_DATA": "x"})
    origins = [line.removeprefix("  - ").split(": ")[0] for line in said]
    assert sorted(origins) == sorted(
        ["--port", "FLEET_REHEARSAL", "FLEET_DATA", f"{file}:instance_policy", f"{file}:prot"]
    )
    assert any("did you mean port?" in line for line in said)
    assert any("one of auto, always, never" in line for line in said)


@pytest.mark.parametrize(
    ("text", "complaint"), [("port = ", "is not TOML"), ("port = true", "a number"), ("port = 1.5", "a number")]
)
def test_a_file_that_makes_no_sense(tmp_path: Path, text: str, complaint: str) -> None:
    (said,) = problems({"config": write(tmp_path / "fleet.toml", text)}, {})
    assert str(tmp_path / "fleet.toml") in said
    assert complaint in said


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_bytes(b"\xff\xfe")
    assert "is not TOML" in problems({"config": str(file)}, {})[0]


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    assert "No such file" in problems({}, {"FLEET_CONFIG": str(tmp_path / "missing.toml")})[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "fleet.example", "127.0.0.1.example"])
def test_a_host_that_others_can_reach_is_a_matter_of_tokens(host: str) -> None:
    """See tests/cli/test_token.py: the start is refused where there is none."""
    assert not is_loopback(host)
    assert load_config({"host": host}, {}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "localhost", "LOCALHOST"])
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)
    assert load_config({"host": host}, {}).host == host


@pytest.mark.parametrize("name", ["FLEET_INSTANCE_ID", "FLEET_SIM_SEED", "FLEET_TOKEN", "FLEET_HOST_ROOT"])
def test_variables_that_are_no_configuration_are_left_alone(name: str) -> None:
    assert load_config({}, {name: "x"}) == load_config({}, {})


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("https://otlp.example/", "https://otlp.example/v1/traces"),
        ("https://otlp.example/v2/spans", "https://otlp.example/v2/spans"),
    ],
)
def test_where_traces_go(given: str, found: str) -> None:
    assert load_config({"traces": given}, {}).traces == found


@pytest.mark.parametrize(
    "given",
    [
        "localhost:4318",
        "ftp://x",
        "http://",
        "http://x:y",
        "http://x:0",
        "http://me:key@x",
        "http://x/?key=1",
        "http://[",
    ],
)
def test_where_traces_cannot_go(given: str) -> None:
    (said,) = problems({"traces": given}, {})
    assert "is not an http or https URL" in said


def test_sessions_work_on_this_machine_unless_a_cluster_is_named(tmp_path: Path) -> None:
    assert load_config({}, {}).hosts == "local"
    file = write(tmp_path / "fleet.toml", 'hosts = "ray"\nray_address = "10.0.0.1:6379"\nhost_cpus = 0.5\n')
    found = load_config({"config": file, "host_grace_s": "60"}, {"FLEET_HOST_REACH": "agent"})
    assert (found.hosts, found.ray_address, found.host_cpus) == ("ray", "10.0.0.1:6379", 0.5)
    assert (found.host_grace_s, found.host_reach, found.host_repositories) == (60, "agent", "bundle")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hosts", "kubernetes"),
        ("ray_address", "10.0.0.1"),
        ("ray_address", "ray://10.0.0.1:6379"),
        ("ray_address", "me@10.0.0.1:6379"),
        ("ray_address", "10.0.0.1:port"),
        ("host_cpus", "-1"),
        ("host_cpus", "nan"),
        ("host_grace_s", "1"),
    ],
)
def test_wrong_values_about_hosts_are_refused(name: str, text: str) -> None:
    (said,) = problems({name: text}, {})
    assert f"--{name.replace('_', '-')}: {text!r} is not" in said


@pytest.mark.parametrize("name", ["data_dir", "opencode"])
def test_a_path_that_cannot_be_one(name: str) -> None:
    assert "is not a path" in problems({name: "a\0b"}, {})[0]


def test_the_table_covers_every_field() -> None:
    assert [key.name for key in KEYS] == list(Config.__struct_fields__)


@given(port=st.integers())
def test_a_port_is_taken_or_refused_by_its_range_alone(port: int) -> None:
    if 0 <= port <= 65535:
        assert load_config({"port": str(port)}, {}).port == port
    else:
        assert "--port" in problems({"port": str(port)}, {})[0]


@given(key=st.sampled_from(KEYS), text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_taken_or_refused_with_its_origin(key: Key, text: str) -> None:
    try:
        found = load_config({key.name: text}, {})
    except StartupError as error:
        said = str(error)
    else:
        said = f"  - {key.flag}: taken as {found}"
    assert f"  - {key.flag}: " in said


def test_configuration_page_has_each_key() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    for key in KEYS:
        assert (
            f"| `{key.name}` | `{key.flag}` | `{key.variable}` | {key.kind} | {key.default} | {key.meaning} |" in page
        )
