"""Who the review answers: of every method, name and token only ours; of every path only what is listed."""

import itertools
import json
import re

import pytest

from farm import layout
from farm.scheduling.publishing import current_catalog
from farm.website.review.guard import WORD_HEADER, Head, Secrets, is_plain, refusal
from tests.finished_farm import copied_farm
from tests.served import Served, served

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
HOSTS = (
    "{ours}",
    "localhost:{port}",
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "[::1]:{port}",
)
TOKENS = ("right", "wrong", "none")
PAGE = "/site/styles/hill.html"


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return copied_farm(tmp_path_factory.mktemp("farm"))


@pytest.fixture(scope="module")
def review(storage):
    with served(storage.root) as one:
        yield one


def headers_of(review, host, token, method):
    """Return a request's headers with a right, a wrong or no token: the cookie, and for changes the word too."""
    named = host.format(ours=review.host, port=review.port)
    headers = {"Host": named, "Origin": f"http://{named}", "Content-Type": "application/json"}
    if token == "none":
        return headers
    name, _, value = review.cookie.partition("=")
    cookie, word = (value, review.word) if token == "right" else ("x" * len(value), "y" * len(review.word))
    return {**headers, "Cookie": f"{name}={cookie}", **({WORD_HEADER: word} if method == "POST" else {})}


def test_of_147_cells_only_our_name_with_our_token_is_answered(review):
    for path, documented in ((PAGE, ("GET", "HEAD")), ("/review/compose", ("POST",))):
        body = json.dumps({"style": "hill", "notes": 20}).encode()
        answered = set()
        for method, host, token in itertools.product(METHODS, HOSTS, TOKENS):
            status, headers, data = review.ask(method, path, headers_of(review, host, token, method), body)
            if status == 200:
                answered.add((method, host, token))
            else:
                assert status in (403, 405), (method, host, token, status)
                assert b"Traceback" not in data
                assert "set-cookie" not in headers
        assert answered == {(method, HOSTS[0], "right") for method in documented}


@pytest.mark.parametrize(
    "path", ["/", "/site/index.html", "/review/status", "/review/static/review.js", "/enter/wrong"]
)
def test_nothing_is_open_without_the_cookie(review, path):
    assert review.ask("GET", path)[0] == 403
    assert review.ask("GET", path, {"Host": None})[0] == 400, "no name at all is no HTTP/1.1"


def test_every_answer_has_the_same_guarded_head(review):
    for path in (PAGE, "/review/static/review.js", "/review/status", "/site/nothing.html", "/review/decide"):
        _, headers, _ = review.get(path)
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "server" not in headers


def test_the_address_opens_once_and_gives_a_cookie_no_script_can_read(storage):
    with served(storage.root) as one:
        assert one.told.count("/enter/") == 1
        assert one.ask("GET", one.enter)[0] == 403, "it was used"
        assert one.ask("GET", one.enter, {"Cookie": one.cookie})[0] == 303, "who is in goes on"
        status, headers, body = one.get("/")
        assert (status, headers["location"], body) == (303, "/site/index.html", b"")
        assert one.word.encode() not in one.get(PAGE)[2], "the word is told once, too"
        _, errors = one.end()
        assert one.enter.rpartition("/")[2] not in errors


def test_looking_at_the_address_does_not_use_it(storage):
    secrets = Secrets(8000, "cookie", "word")
    head = Head("HEAD", "/enter/key", (("host", "127.0.0.1:8000"),))
    assert refusal(head, secrets) is None
    one = Served(storage.root)
    try:
        assert one.ask("HEAD", one.enter)[0] == 403
        flags = one.let_in()["set-cookie"]
        assert "HttpOnly" in flags
        assert "SameSite=strict" in flags
    finally:
        one.process.kill()
        one.process.communicate()


FORGED = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": None},
    {"Origin": "https://127.0.0.1:1"},
    {WORD_HEADER: None},
    {WORD_HEADER: ""},
    {WORD_HEADER: "x"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Cookie": None},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": None},
]


@pytest.mark.parametrize("changed", FORGED, ids=str)
def test_a_forged_request_changes_nothing(review, storage, changed):
    """A page of another site can send a request with the cookie, but not from our origin with our word."""
    before = storage.read_bytes(layout.DECISIONS)
    seen = current_catalog(storage)["models"][0]["files"][0]["sha256"]
    wish = {"style": "hill", "status": "approved", "why": "forged", "seen": seen}
    status, answer = review.post("/review/decide", wish, **changed)
    assert status in (403, 415)
    assert "nothing was changed" in answer["error"] or status == 403
    assert storage.read_bytes(layout.DECISIONS) == before


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_read_even_with_the_cookie(review, site):
    for path in (PAGE, "/review/status", "/review/static/review.js"):
        assert review.ask("GET", path, {"Cookie": review.cookie, "Sec-Fetch-Site": site})[0] == 403
        assert review.ask("GET", path, {"Cookie": review.cookie, "Sec-Fetch-Site": "none"})[0] == 200


def test_the_cookie_alone_which_other_ports_may_be_sent_changes_nothing(review):
    assert review.get(PAGE)[0] == 200
    pages = [
        review.get(path)[2] for path in (PAGE, "/review/status", "/review/style?name=hill", "/review/static/review.js")
    ]
    assert not any(review.word.encode() in page for page in pages)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{" * 20_000, 413),
        (b"[" * 9_000, 422),
        (b"", 422),
        (b"\xff\xfe", 422),
        (b'{"style": "hill", "notes": 1e999}', 422),
        (b'{"style": "hill", "notes": 100000000}', 422),
        (b'{"style": "hill", "notes": true}', 422),
        (b'{"style": "hill", "primer": "/etc/passwd"}', 422),
        (b'{"style": "\\ud800"}', 422),
        (b'{"style": "nobody"}', 422),
        (b'{"style": "hill", "notes": 5, "bars": 5}', 422),
    ],
)
def test_a_body_that_asks_for_no_such_thing_is_refused_with_a_sentence(review, body, status):
    found, _, data = review.ask("POST", "/review/compose", review.ours(), body)
    assert found == status
    assert b"Traceback" not in data
    assert json.loads(data)["error"]


def test_what_the_site_has_and_links_to_is_shown_and_nothing_else(review, storage):
    catalog = current_catalog(storage)
    linked = {file["path"] for model in catalog["models"] for file in model["files"]}
    linked |= {key for model in catalog["models"] for key in model["samples"]}
    for room in layout.ROOMS:
        for key in storage.walk(room):
            may = key in linked or key.startswith(f"{layout.SITE}/")
            assert review.get(f"/{key}")[0] == (200 if may else 404), key
    links = re.findall(r'(?:href|src)="\.\./\.\./([^"]+)"', storage.read_bytes("site/styles/hill.html").decode())
    assert links
    assert set(links) <= linked


TRICKS = (
    *("../ledger/decisions.jsonl", "%2e%2e/ledger/decisions.jsonl", "..%2fledger%2fdecisions.jsonl"),
    *("%252e%252e/ledger/decisions.jsonl", "..%5cledger%5cdecisions.jsonl", "..\\ledger\\decisions.jsonl"),
    *("....//ledger/decisions.jsonl", "..;/ledger/decisions.jsonl", "%c0%ae%c0%ae/ledger/decisions.jsonl"),
    *(".%00./ledger/decisions.jsonl", "./../ledger/decisions.jsonl", "../../../../../../etc/passwd"),
    *("/etc/passwd", "%2fetc%2fpasswd", "//127.0.0.1/etc/passwd", "index.html%00.css", "index.html/", "./index.html"),
    *("INDEX.HTML", "~root/x"),
)
STARTS = (
    *("/", "/site/", "/site/static/", "/site/styles/", "/site//", "/catalog/objects/", "/runs/hill/"),
    *("/review/", "/enter/", "http://127.0.0.1/site/"),
)


def test_200_tricks_with_paths_lead_nowhere(review):
    paths = [start + trick for start, trick in itertools.product(STARTS, TRICKS)]
    assert len(set(paths)) == 200
    for path in paths:
        cookie = [] if path.startswith("/enter/") else [f"Cookie: {review.cookie}"]  # who is in is led to the report
        assert review.raw_status(f"GET {path} HTTP/1.1", *cookie) in (400, 403, 404), path


@pytest.mark.parametrize("path", ["", "site", "/site/", "/a b", "/é", "/site/.git", "/" + "x" * 600, "/x?y"])
def test_only_plain_paths_are_plain(path):
    assert not is_plain(path)


def test_two_names_or_two_cookies_are_not_trusted(review):
    request = "GET /site/index.html HTTP/1.1"
    assert review.raw_status(request, f"Cookie: {review.cookie}") == 200
    assert review.raw_status(request, f"Cookie: {review.cookie}", "Host: evil.example") in (400, 403)
    assert review.raw_status(request, f"Cookie: {review.cookie}x") == 403
    assert review.raw_status(request, "Cookie: a=b; " + review.cookie) == 200
