"""Keys for tests, as minisign 0.11 wrote them (`-G -W`, and `-G` with a password); they protect nothing."""

AUTHOR_KEY = """\
untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA4cCMQFiB0bjRXRKQ+1IklORRuaN+mTZJhWHQMyGRNME3uSmzxDvfwPiN0A1LLbe2Oj7VtkXvu8+WomSI0D1XoKu0qy/TkDVFAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
"""
AUTHOR_PUB = """\
untrusted comment: minisign public key B8D18158408CC0E1
RWThwIxAWIHRuPiN0A1LLbe2Oj7VtkXvu8+WomSI0D1XoKu0qy/TkDVF
"""
AUTHOR_ID = "B8D18158408CC0E1"
AUTHOR_LINE = AUTHOR_PUB.splitlines()[1]

STRANGER_KEY = """\
untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAASVzW04dtGR71rcQ/6tOUQidbjfq8s7+AcOJGL0k1UX29Vt42w/l6x7x0WSAItMAILyka8pgQ4ZH3su8ade7OsPdkcNGbt3xCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
"""
STRANGER_PUB = """\
untrusted comment: minisign public key 1E196D87D3D65C49
RWRJXNbTh20ZHrx0WSAItMAILyka8pgQ4ZH3su8ade7OsPdkcNGbt3xC
"""
STRANGER_ID = "1E196D87D3D65C49"

LOCKED_KEY = """\
untrusted comment: minisign encrypted secret key
RWRTY0IyVNUQ82+s0eZ9Gg4EY/ZygSCE5HHnzBJ3TKsG6e/h5jQAAAACAAAAAAAAAEAAAAAAmY4zFUre/LLuB8a8o8Ndw8ZWJhvZBQTAkOeNEmQnvI0fc4IH4XenEtw96CIiXdPT9j/W9QkctHPERIMocV2PE4AiPaqGw8Nw82fxsW6FP6ycnKVQ+2oE6rocsJbBmQhpYbLPVnRcxt8=
"""  # with the strength that minisign gives: opening it takes a GB and some seconds
LOCKED_PUB = """\
untrusted comment: minisign public key F95F925FA4DBE1A9
RWSp4dukX5Jf+cnq72TRx5W41EvG6Dj36K05OV+SOF+sUtEWbp8nNpo0
"""
LOCKED_PASSWORD = "pass word"


def write_keys(folder):
    """Write author.key and stranger.key, without a password, and locked.key; return the folder."""
    for name, text in (("author", AUTHOR_KEY), ("stranger", STRANGER_KEY), ("locked", LOCKED_KEY)):
        (folder / f"{name}.key").write_text(text)
    return folder
