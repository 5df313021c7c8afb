"""Which executable is started, and which is refused."""

from pathlib import Path

import pytest

from fleet.adapters.opencode.binary import SET_UP, VersionRecord, database, release, resolve_binary, version
from fleet.errors import Unavailable

NATIVE = "\x7fELF"


def executable(file: Path, content: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    file.chmod(0o755)
    return file


def code_of(refused: pytest.ExceptionInfo[Unavailable]) -> str:
    return refused.value.code


def test_the_path_is_searched(tmp_path: Path) -> None:
    binary = executable(tmp_path / "bin" / "opencode", NATIVE)
    assert resolve_binary(None, {"PATH": str(tmp_path / "bin")}) == binary.resolve()


@pytest.mark.parametrize("native", [".opencode", "opencode.exe"])
def test_the_node_wrapper_is_replaced_by_the_binary_beside_it(tmp_path: Path, native: str) -> None:
    package = tmp_path / "node_modules" / "opencode-ai" / "bin"
    wrapper = executable(package / "opencode", "#!/usr/bin/env node\n")
    binary = executable(package / native, NATIVE)
    linked = tmp_path / "node_modules" / ".bin" / "opencode"
    linked.parent.mkdir()
    linked.symlink_to(wrapper)
    assert resolve_binary(str(linked), {}) == binary.resolve()


def test_a_shell_shim_is_replaced_by_the_binary_of_the_package(tmp_path: Path) -> None:
    shim = executable(tmp_path / "node_modules" / ".bin" / "opencode", "#!/bin/sh\nexec node ...\n")
    binary = executable(tmp_path / "node_modules" / "opencode-ai" / "bin" / "opencode.exe", NATIVE)
    assert resolve_binary(str(shim), {}) == binary.resolve()


def test_a_wrapper_without_its_binary_is_refused(tmp_path: Path) -> None:
    wrapper = executable(tmp_path / "bin" / "opencode", "#!/usr/bin/env node\n")
    with pytest.raises(Unavailable, match="native binary beside it is missing") as refused:
        resolve_binary(str(wrapper), {})
    assert code_of(refused) == "opencode_not_executable"


def test_script_of_the_user_is_used_unchanged(tmp_path: Path) -> None:
    script = executable(tmp_path / "opencode", "#!/bin/sh\n")
    assert resolve_binary(str(script), {}) == script.resolve()


def test_binary_of_make_setup_is_found_without_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = executable(tmp_path / ".tools" / "opencode", NATIVE)
    monkeypatch.setattr("fleet.adapters.opencode.binary.SET_UP", installed)
    assert resolve_binary(None, {"PATH": str(tmp_path / "bin")}) == installed.resolve()
    preferred = executable(tmp_path / "bin" / "opencode", NATIVE)
    assert resolve_binary(None, {"PATH": str(tmp_path / "bin")}) == preferred.resolve()
    with pytest.raises(Unavailable):
        resolve_binary(str(tmp_path / "named"), {"PATH": str(tmp_path / "bin")})


def test_this_checkout_has_the_binary_of_make_setup() -> None:
    assert Path(__file__).parents[3] / ".tools/node_modules/.bin/opencode" == SET_UP


def test_missing_and_not_executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.adapters.opencode.binary.SET_UP", tmp_path / "none")
    with pytest.raises(Unavailable) as refused:
        resolve_binary(None, {"PATH": str(tmp_path)})
    assert code_of(refused) == "opencode_missing"
    (tmp_path / "plain").write_text("")
    with pytest.raises(Unavailable) as refused:
        resolve_binary(str(tmp_path / "plain"), {})
    assert code_of(refused) == "opencode_not_executable"


async def test_version_is_read_from_the_binary(tmp_path: Path) -> None:
    said = executable(tmp_path / "good", "#!/bin/sh\necho 1.18.33\n")
    assert await version(said, {"PATH": "/usr/bin:/bin"}) == "1.18.33"
    for content in ("#!/bin/sh\necho broken >&2; exit 1\n", "not a program"):
        with pytest.raises(Unavailable) as refused:
            await version(executable(tmp_path / "bad", content), {"PATH": "/usr/bin:/bin"})
        assert code_of(refused) == "opencode_not_executable"


async def test_version_is_read_although_the_current_directory_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = executable(tmp_path / "said", '#!/bin/sh\ntest -d "$(pwd -P)" && echo 1.18.33\n')
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert await version(said, {"PATH": "/usr/bin:/bin"}) == "1.18.33"


def test_versions_compare_by_number() -> None:
    assert release("1.9.0") < release("1.17.19") < release("1.18.3") < release("1.18.33-beta.1") < release("local")


def test_path_of_the_database() -> None:
    assert database({"HOME": "/h"}) == Path("/h/.local/share/opencode/opencode.db")
    assert database({"HOME": "/h", "XDG_DATA_HOME": "/x"}) == Path("/x/opencode/opencode.db")
    assert database({"HOME": "/h", "OPENCODE_DB": "/o.db"}) == Path("/o.db")


def test_a_downgrade_that_breaks_the_store_is_refused(tmp_path: Path) -> None:
    record = VersionRecord(tmp_path / "data" / "versions.json")
    store = tmp_path / "opencode.db"
    record.admit(store, "1.15.13")
    record.admit(store, "1.3.2")
    record.admit(store, "1.18.33")
    record.admit(store, "1.17.19")
    with pytest.raises(Unavailable, match=r"OpenCode 1\.18\.33 has used") as refused:
        VersionRecord(tmp_path / "data" / "versions.json").admit(store, "1.15.13")
    assert code_of(refused) == "opencode_downgrade"
    record.admit(tmp_path / "another.db", "1.15.13")


def test_damaged_version_record_is_reported(tmp_path: Path) -> None:
    (tmp_path / "versions.json").write_text("[")
    with pytest.raises(Unavailable, match="is damaged"):
        VersionRecord(tmp_path / "versions.json").admit(tmp_path, "1.18.33")
