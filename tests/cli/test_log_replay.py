"""`fleet log replay` on a data directory: exit code 1, and the position, where something differs from the log."""

import json
from pathlib import Path

import pytest

from fleet.events.batch import LogEnd
from fleet.events.catalog import make_registry
from fleet.events.read_only import reading_directory
from fleet.events.signing import open_key
from fleet.events.snapshots import fingerprint, pack
from fleet.projections.runner import Runner, digest_at
from fleet.projections.store import LmdbViewStore
from fleet.projections.views import make_views
from tests.cli.sample_history import History, write_sample
from tests.cli.test_log_sources import log
from tests.fakes.memory_store import MemoryStore


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return write_sample(tmp_path_factory.mktemp("history"))


def store_views(data_dir: Path, *, without: str = "") -> None:
    views, key = make_views(), open_key(data_dir)
    store = LmdbViewStore(data_dir / "views", key.sealer)
    with reading_directory(data_dir, make_registry()) as reader:
        Runner(reader, MemoryStore(), views).open()
        for view in views:
            rows = {each: pack(view.row(each)) for each in view.ids() if each != without}
            schema = fingerprint(view.name, view.state_type, view.decider.revision)
            store.save(
                view.name,
                schema,
                LogEnd(reader.head(), digest_at(reader, reader.head()) or b""),
                rows,
                {without} if without else (),
            )
    store.close()


def test_replay_ends_with_1_where_a_row_is_missing(history: History) -> None:
    store_views(history.data_dir)
    done = log("replay", "--data-dir", str(history.data_dir))
    assert (done.exit_code, "session      2 rows as of position" in done.stdout) == (0, True), done.output
    store_views(history.data_dir, without=history.aborted)
    done = log("replay", "--data-dir", str(history.data_dir))
    assert (done.exit_code, f"session {history.aborted} differs from the log" in done.stdout) == (1, True)
    found = json.loads(log("replay", "--json", "--projection", "session", "--data-dir", str(history.data_dir)).stdout)
    assert [each["key"] for each in found["parted"]] == [history.aborted]
    assert log("replay", "--to", "2026-01-01", "--data-dir", str(history.data_dir)).exit_code == 1
    assert log("replay", "--to", "5", "--data-dir", str(history.data_dir)).exit_code == 0
    assert log("replay", "--to", "99999", "--data-dir", str(history.data_dir)).exit_code == 2
    assert log("replay", "--projection", "nothing", "--data-dir", str(history.data_dir)).exit_code == 2
