"""The review of a farm whose artifacts are in a bucket: the same pages, decisions, pieces and requests."""

from farm import layout
from farm.scheduling.publishing import current_catalog
from farm.storage import Storage
from tests.finished_farm import copied_farm
from tests.served import served
from tests.test_s3 import server  # noqa: F401  a fixture


def test_a_bucket_is_reviewed_like_a_folder(server, tmp_path):  # noqa: F811
    folder = copied_farm(tmp_path)
    storage = Storage("s3://music/reviewed")
    for room in (layout.CATALOG, layout.SITE, layout.RUNS, layout.LEDGER, layout.NOTES, layout.PIECES):
        for key in folder.walk(room):
            if key != layout.LOCK:
                storage.write_bytes(key, folder.read_bytes(key))
    seen = current_catalog(storage)["models"][0]["files"][0]["sha256"]
    with served(storage.root) as one:
        page = one.get("/site/styles/hill.html")[2].decode()
        assert f'data-seen="{seen}"' in page
        assert one.get("/runs/../ledger/lock")[0] == 404
        wish = {"style": "hill", "status": "approved", "why": "in a bucket", "seen": seen}
        assert one.post("/review/decide", wish)[0] == 200
        assert one.post("/review/retrain", {"style": "hill", "why": "once more"})[0] == 200
        assert len(one.post("/review/compose", {"style": "hill", "notes": 30})[1]["notes"]) > 0
        assert b'"retraining": {"tiny": "once more"}' in one.get("/review/status")[2]
    assert current_catalog(storage)["models"][0]["status"] == "approved"
