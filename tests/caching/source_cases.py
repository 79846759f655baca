"""What a cached function reads, and how each may change before the next call: the cases of `key_cases.py` for sources.

Each that names its path in a constant has a twin that computes it: constants count by themselves, reads or not.
"""

# ruff: noqa: E501 - a project a line
from __future__ import annotations

import importlib.util
from dataclasses import replace

from tests.caching.key_cases import DATA, READ, Case, F, module


def _file(name: str, body: str, *, then: str = "", call: str = "m.f(2)", **options: object) -> Case:
    return Case(name, {**module(body), **DATA}, then=then, call=call, **options)  # type: ignore[arg-type]


_REWRITE = "open('data.txt', 'w').write('two')"
_SNEAKY = (
    "import os; s = os.stat('data.txt'); open('data.txt', 'r+').write('two'); "
    "os.utime('data.txt', ns=(s.st_atime_ns, s.st_mtime_ns))"
)
SOURCES = [
    _file("file with a fixed path", READ, then=_REWRITE),
    _file("file of the same size and time", READ, then=_SNEAKY),
    _file("replaced file of the same size and time", READ, then="import os; s = os.stat('data.txt'); open('new', 'w').write('two'); os.utime('new', ns=(s.st_atime_ns, s.st_mtime_ns)); os.replace('new', 'data.txt')"),
    _file("file by argument", "@function_cache\ndef f(p):\n    return open(p).read()\n", then=_REWRITE, call="m.f('data.txt')"),
    _file("file by a Path argument", "@function_cache\ndef f(p):\n    return p.read_text()\n", then=_REWRITE, call="m.f(__import__('pathlib').Path('data.txt'))"),
    _file("files in a list argument", "@function_cache\ndef f(p):\n    return [open(q).read() for q in p]\n", then=_REWRITE, call="m.f(['data.txt'])"),
    _file("path in a global", "P = 'data.txt'\n" + F + "    return open(P).read()\n", then=_REWRITE),
    _file("path beside the module", "import pathlib\nP = pathlib.Path(__file__).parent / 'data.txt'\n" + F + "    return P.read_text()\n", then=_REWRITE),
    _file("file read by a helper", "def h():\n    return open('data.txt').read()\n" + F + "    return h()\n", then=_REWRITE),
    _file("file read by os.open", "import os\n" + F + "    fd = os.open('data.txt', os.O_RDONLY)\n    try:\n        return os.read(fd, 9)\n    finally:\n        os.close(fd)\n", then=_REWRITE),
    _file("file read in a thread", "import threading\n" + F + "    out = []\n    t = threading.Thread(target=lambda: out.append(open('data.txt').read()))\n    t.start(); t.join()\n    return out[0]\n", then=_REWRITE),
    _file("file read in a pool", "from concurrent.futures import ThreadPoolExecutor\n" + F + "    with ThreadPoolExecutor() as pool:\n        return list(pool.map(lambda p: open(p).read(), ['data.txt']))\n", then=_REWRITE),
    _file("file read by a coroutine", "import asyncio\n@function_cache\nasync def f(x):\n    return await asyncio.to_thread(lambda: open('data.txt').read())\n", then=_REWRITE, call="__import__('asyncio').run(m.f(2))"),
    _file("file read in a pool that is older", "from concurrent.futures import ThreadPoolExecutor\nPOOL = ThreadPoolExecutor(1)\n" + F + "    return POOL.submit(lambda: open('data.txt').read()).result()\n", first="m.POOL.submit(len, '').result()", then=_REWRITE),
    _file("file read in a pool that another function began", "from concurrent.futures import ThreadPoolExecutor\nPOOL = ThreadPoolExecutor(1)\n@function_cache\ndef g(x):\n    return POOL.submit(len, '').result()\n" + F + "    return POOL.submit(lambda: open('data.txt').read()).result()\n", first="m.g(1)", then=_REWRITE),
    _file("file read in a pool of multiprocessing", "from multiprocessing.pool import ThreadPool\n" + F + "    with ThreadPool(2) as pool:\n        return pool.map(lambda p: open(p).read(), ['data.txt'])\n", then=_REWRITE),
    _file("file read in an older pool of multiprocessing", "from multiprocessing.pool import ThreadPool\nPOOL = ThreadPool(1)\n" + F + "    return POOL.apply(lambda: open('data.txt').read()), list(POOL.imap(len, ['ab'])), POOL.starmap(max, [(1, 2)])\n", then=_REWRITE),
    _file("file read by a subclass of Thread", "import threading\nclass T(threading.Thread):\n    def run(self):\n        self.out = open('data.txt').read()\n" + F + "    t = T()\n    t.start(); t.join()\n    return t.out\n", then=_REWRITE),
    _file("file read in a loop's executor", "import asyncio\n@function_cache\nasync def f(x):\n    return await asyncio.get_running_loop().run_in_executor(None, lambda: open('data.txt').read())\n", then=_REWRITE, call="__import__('asyncio').run(m.f(2))"),
    _file("file read by a cached helper in a thread", "from concurrent.futures import ThreadPoolExecutor\n@function_cache\ndef h(x):\n    return open('data.txt').read()\n" + F + "    with ThreadPoolExecutor() as pool:\n        return list(pool.map(h, [1]))\n", then=_REWRITE),
    _file("file read in a pool of processes", "from concurrent.futures import ProcessPoolExecutor\ndef r(p):\n    return open(p).read()\n" + F + "    with ProcessPoolExecutor(2) as pool:\n        return list(pool.map(r, ['data.txt', __file__]))[0]\n", then=_REWRITE),
    _file("file read in a pool of multiprocessing's processes", "import multiprocessing\ndef r(p):\n    return open(p).read()\n" + F + "    with multiprocessing.get_context('fork').Pool(2) as pool:\n        return pool.map(r, ['data.txt'])\n", then=_REWRITE),
    _file("file read by a forked process", "import os\n" + F + "    r, w = os.pipe()\n    if not os.fork():\n        os.write(w, open('data.txt', 'rb').read())\n        os._exit(0)\n    os.wait()\n    return os.read(r, 9)\n", then=_REWRITE),
    _file("file read by a cached helper in a process", "from concurrent.futures import ProcessPoolExecutor\n@function_cache\ndef h(x):\n    return open('data.txt').read()\n" + F + "    with ProcessPoolExecutor(1) as pool:\n        return pool.submit(h, 1).result()\n", then=_REWRITE),
    _file("folder listed by a process", "from concurrent.futures import ProcessPoolExecutor\nimport os\n" + F + "    with ProcessPoolExecutor(1) as pool:\n        return sorted(pool.submit(os.listdir, str().join(['par', 'ts'])).result())\n", first="import os; os.makedirs('parts', exist_ok=True)", then="open('parts/a', 'w').write('')"),
    _file("file read by a cached helper", "@function_cache\ndef h(x):\n    return open('data.txt').read()\n" + F + "    return h(x)\n", then=_REWRITE),
    _file("file read by a cached helper that hit", "@function_cache\ndef h(x):\n    return open('data.txt').read()\n" + F + "    return h(x)\n", first="m.h(2)", then=_REWRITE),
    _file("database", "import sqlite3\n" + F + "    c = sqlite3.connect('d.db')\n    try:\n        return c.execute('select * from t').fetchall()\n    finally:\n        c.close()\n", first="import sqlite3; c = sqlite3.connect('d.db'); c.execute('create table if not exists t (a)'); c.commit(); c.close()", then="import sqlite3; c = sqlite3.connect('d.db'); c.execute('insert into t values (1)'); c.commit(); c.close()"),
    _file("compressed file", "import gzip\n" + F + "    return gzip.open('d.gz').read()\n", first="import gzip; f = gzip.open('d.gz', 'w'); f.write(b'1'); f.close()", then="import gzip; f = gzip.open('d.gz', 'w'); f.write(b'2'); f.close()"),
    _file("other working directory", READ, then="import os; os.mkdir('sub'); open('sub/data.txt', 'w').write('two'); os.chdir('sub')"),
    _file("other working directory, made absolute", "import os\n" + F + "    return open(os.path.abspath('data.txt')).read()\n", then="import os; os.mkdir('sub'); open('sub/data.txt', 'w').write('two'); os.chdir('sub')"),
    _file("listed folder", "import os\n" + F + "    return sorted(os.listdir('parts'))\n", first="import os; os.makedirs('parts', exist_ok=True)", then="open('parts/a', 'w').write('')"),
    _file("globbed files", "import glob\n" + F + "    return [open(p).read() for p in sorted(glob.glob('parts/*'))]\n", first="import os; os.makedirs('parts', exist_ok=True); open('parts/a', 'w').write('1')", then="open('parts/b', 'w').write('2')"),
    _file("glob by pathlib", "import pathlib\n" + F + "    return [p.read_text() for p in sorted(pathlib.Path('parts').glob('*'))]\n", first="import os; os.makedirs('parts', exist_ok=True); open('parts/a', 'w').write('1')", then="open('parts/a', 'w').write('2')"),
    _file("folder listed by a cached helper", "import os\n@function_cache\ndef h(x):\n    return sorted(os.listdir(str().join(['par', 'ts'])))\n" + F + "    return h(x)\n", first="import os; os.makedirs('parts', exist_ok=True)", then="open('parts/a', 'w').write('')"),
    _file("folder listed by a cached helper that wrote to it", "import os\n@function_cache\ndef h(x):\n    open('parts/own', 'w').close()\n    return sorted(os.listdir('parts'))\n" + F + "    return h(x), sorted(os.listdir('parts'))\n", first="import os; os.makedirs('parts', exist_ok=True)", then="open('parts/a', 'w').write('')"),
    _file("a name below a pattern", "import glob\n" + F + "    return sorted(glob.glob('parts/*/data.csv'))\n", first="import os; os.makedirs('parts/a', exist_ok=True)", then="open('parts/a/data.csv', 'w').close()"),
    _file("a name below a pattern of pathlib's", "import pathlib\n" + F + "    return len(list(pathlib.Path('parts').glob('*/data.csv')))\n", first="import os; os.makedirs('parts/a', exist_ok=True)", then="open('parts/a/data.csv', 'w').close()"),
    _file("a folder that was not there", "import os\n" + F + "    try:\n        return os.listdir(str().join(['par', 'ts']))\n    except FileNotFoundError:\n        return None\n", then="import os; os.makedirs('parts')"),
    _file("database by its URI", "import sqlite3\n" + F + "    c = sqlite3.connect('file:' + str('d.') + 'db?mode=ro', uri=True)\n    try:\n        return c.execute('select * from t').fetchall()\n    finally:\n        c.close()\n", first="import sqlite3; c = sqlite3.connect('d.db'); c.execute('create table if not exists t (a)'); c.commit(); c.close()", then="import sqlite3; c = sqlite3.connect('d.db'); c.execute('insert into t values (1)'); c.commit(); c.close()"),
    _file("data of a package", "import pkgutil\n" + F + "    return pkgutil.get_data('m', 'data.txt')\n", then=_REWRITE),
    _file("line of a file", "import linecache\n" + F + "    linecache.clearcache()\n    return linecache.getline('data.txt', 1)\n", then=_REWRITE),
    _file("file that the run brought", "import os\n" + F + "    p = str().join(['d', '.txt'])\n    if not os.path.exists(p):\n        with open(p, 'w') as file:\n            file.write('one')\n    return open(p).read()\n", then="open('d.txt', 'w').write('two')"),
    _file("file that the run brought by renaming another", "import os\n" + F + "    p = str().join(['d', '.txt'])\n    if not os.path.exists(p):\n        with open(p + '~', 'w') as file:\n            file.write('one')\n        os.replace(p + '~', p)\n    return open(p).read()\n", then="open('d.txt', 'w').write('two')"),
    _file("file in a folder that the run made", "import os\n" + F + "    p = str().join(['par', 'ts'])\n    if not os.path.exists(p):\n        os.mkdir(p)\n        with open(p + '/a', 'w') as file:\n            file.write('one')\n    return open(p + '/a').read()\n", then="open('parts/a', 'w').write('two')"),
    _file("file that the run brought in a process", "import os\nfrom concurrent.futures import ProcessPoolExecutor\ndef b(p):\n    if not os.path.exists(p):\n        with open(p, 'w') as file:\n            file.write('one')\n    return open(p).read()\n" + F + "    with ProcessPoolExecutor(1) as pool:\n        return pool.submit(b, str().join(['d', '.txt'])).result()\n", then="open('d.txt', 'w').write('two')"),
    _file("file that the run appends to", F + "    p = str().join(['d', '.txt'])\n    with open(p, 'a') as file:\n        file.write('one')\n    return open(p).read()\n", then="open('d.txt', 'w').write('two')"),
    _file("file in another folder for a while", "import contextlib\n" + F + "    with contextlib.chdir(str().join(['par', 'ts'])):\n        return open(str().join(['a', '.txt'])).read()\n", first="import os; os.makedirs('parts', exist_ok=True); os.path.exists('parts/a.txt') or open('parts/a.txt', 'w').write('1')", then="open('parts/a.txt', 'w').write('2')"),
    _file("file read by a helper with a memo, for another function", "import functools\n@functools.cache\ndef h():\n    return open(str().join(['da', 'ta.txt'])).read()\n@function_cache\ndef g(x):\n    return h()\n" + F + "    return h() + str(x)\n", first="m.g(2)", then=_REWRITE),
    _file("file read by a method with a memo, for another function", "import functools\nclass C:\n    @staticmethod\n    @functools.lru_cache(maxsize=8)\n    def h(p):\n        return open(p).read()\n@function_cache\ndef g(x):\n    return C.h(str().join(['da', 'ta.txt']))\n" + F + "    return C.h(str().join(['da', 'ta.txt'])) + str(x)\n", first="m.g(2)", then=_REWRITE),
    _file("folder listed by a helper with a memo, for another function", "import functools, os\n@functools.cache\ndef h():\n    return sorted(os.listdir(str().join(['par', 'ts'])))\n@function_cache\ndef g(x):\n    return h()\n" + F + "    return [*h(), x]\n", first="import os; os.makedirs('parts', exist_ok=True); m.g(2)", then="open('parts/a', 'w').write('')"),
    _file("file read by a cached helper of one with a memo", "import functools\n@function_cache\ndef r(x):\n    return open(str().join(['da', 'ta.txt'])).read()\n@functools.cache\ndef h():\n    return r(1)\n@function_cache\ndef g(x):\n    return h()\n" + F + "    return h() + str(x)\n", first="m.g(2)", then=_REWRITE),
    _file("newest file", "import os\n" + F + "    return open(max((e.path for e in os.scandir('parts')), key=os.path.getmtime)).read()\n", first="import os; os.makedirs('parts', exist_ok=True); open('parts/a', 'w').write('1'); open('parts/b', 'w').write('2'); os.utime('parts/a', (9, 9)); os.utime('parts/b', (8, 8))", then="import os; os.utime('parts/b', (99, 99))"),
    _file("folder by argument", "import os\n@function_cache\ndef f(p):\n    return [open(os.path.join(p, n)).read() for n in sorted(os.listdir(p))]\n", call="m.f('parts')", first="import os; os.makedirs('parts', exist_ok=True); open('parts/a', 'w').write('1')", then="open('parts/a', 'w').write('2')"),
    _file("glob by argument", "import glob\n@function_cache\ndef f(p):\n    return len(glob.glob(p))\n", call="m.f('parts/*')", first="import os; os.makedirs('parts', exist_ok=True); open('parts/a', 'w').write('1')", then="open('parts/b', 'w').write('2')"),
    _file("missing file with a fallback", F + "    try:\n        return open('more.txt').read()\n    except FileNotFoundError:\n        return 'none'\n", then="open('more.txt', 'w').write('some')"),
    _file("existence of an argument", "import os\n@function_cache\ndef f(p):\n    return os.path.exists(p)\n", call="m.f('more.txt')", then="open('more.txt', 'w').write('some')"),
    _file("existence of a constant", "import os\n" + F + "    return os.path.exists('more.txt')\n", then="open('more.txt', 'w').write('some')"),
    _file("existence of a joined path", "import pathlib\nD = pathlib.Path('parts')\n" + F + "    return (D / 'more.txt').is_file()\n", then="import os; os.makedirs('parts'); open('parts/more.txt', 'w').write('some')"),
    _file("size of a file", "import os\n" + F + "    return os.stat('data.txt').st_size\n", then="open('data.txt', 'w').write('twenty')"),
    _file("link to another file", READ.replace("data.txt", "link"), first="import os; os.path.islink('link') or os.symlink('data.txt', 'link')", then="import os; open('b.txt', 'w').write('two'); os.remove('link'); os.symlink('b.txt', 'link')"),
]  # fmt: skip

# Readers in native code, which opens its files unseen.
_PARQUET = "import pandas as pd; pd.DataFrame({'a': [1]}).to_parquet('a.pq')"
_PARQUET_AGAIN = "import pandas as pd; pd.DataFrame({'a': [2]}).to_parquet('a.pq')"
_FOLDER = "import os, pandas as pd; os.makedirs('parts/k=1', exist_ok=True); os.path.exists('parts/k=1/a') or pd.DataFrame({'a': [1]}).to_parquet('parts/k=1/a')"
_FOLDER_AGAIN = "import pandas as pd; pd.DataFrame({'a': [2]}).to_parquet('parts/k=1/b')"
_LINKED = "import os, pandas as pd; os.makedirs('parts', exist_ok=True); os.makedirs('more', exist_ok=True); os.path.lexists('parts/link') or os.symlink('../more', 'parts/link'); os.path.exists('more/a.parquet') or pd.DataFrame({'a': [1]}).to_parquet('more/a.parquet')"
_LINKED_AGAIN = "import pandas as pd; pd.DataFrame({'a': [2]}).to_parquet('more/a.parquet')"
_AT = "f'{str(chr(97))}.pq'"  # a.pq, computed


def _native(name: str, imports: str, body: str, first: str = _PARQUET, then: str = _PARQUET_AGAIN) -> Case:
    return Case(name, {**module(f"{imports}\n{F}    return {body}\n"), **DATA}, first=first, then=then)


SOURCES += [
    _native("pandas.read_parquet", "import pandas as pd", f"int(pd.read_parquet({_AT}).a.sum())"),
    _native("pandas.read_parquet of a folder", "import pandas as pd", "int(pd.read_parquet('par' + str('ts')).a.sum())", _FOLDER, _FOLDER_AGAIN),
    _native("pandas.read_parquet of a linked folder", "import pandas as pd", "int(pd.read_parquet('par' + str('ts')).a.sum())", _LINKED, _LINKED_AGAIN),
    _native("read_table by name", "from pyarrow.parquet import read_table", f"read_table({_AT}).to_pylist()"),
    _native("read_table of a PathLike", "import pathlib\nimport pyarrow.parquet as pq", f"pq.read_table(pathlib.Path({_AT})).to_pylist()"),
    _native("read_table of files", "import pyarrow.parquet as pq", f"pq.read_table([{_AT}]).to_pylist()"),
    _native("read_table imported in the body", "def read(p):\n    import pyarrow.parquet\n    return pyarrow.parquet.read_table(p).to_pylist()", f"read({_AT})"),
    _native("ParquetFile", "import pyarrow.parquet as pq", f"pq.ParquetFile({_AT}).read().to_pylist()"),
    _native("ParquetDataset", "import pyarrow.parquet as pq", f"pq.ParquetDataset({_AT}).read().to_pylist()"),
    _native("read_metadata", "import pyarrow.parquet as pq", f"pq.read_metadata({_AT}).row_group(0).column(0).statistics.max"),
    _native("read_schema", "import pyarrow.parquet as pq", f"pq.read_schema({_AT}).names", then=_PARQUET_AGAIN.replace("'a':", "'b':")),
    _native("dataset of a folder", "import pyarrow.dataset as ds", "ds.dataset('par' + str('ts')).to_table().num_rows", _FOLDER, _FOLDER_AGAIN),
    _native("dataset of a folder that was listed", "import os\nimport pyarrow.dataset as ds", "os.listdir('par' + str('ts')), ds.dataset('par' + str('ts')).to_table().num_rows", _FOLDER, _FOLDER_AGAIN),
    _native("pyarrow.csv by name", "from pyarrow.csv import read_csv", "read_csv('j' + str('.csv')).column_names", "open('j.csv', 'w').write('a\\n1\\n')", "open('j.csv', 'w').write('b\\n1\\n')"),
    _native("pyarrow.csv.open_csv", "import pyarrow.csv", "pyarrow.csv.open_csv('j' + str('.csv')).schema.names", "open('j.csv', 'w').write('a\\n1\\n')", "open('j.csv', 'w').write('b\\n1\\n')"),
    _native("pyarrow.json", "import pyarrow.json", "pyarrow.json.read_json('j' + str('.json')).to_pylist()", "open('j.json', 'w').write('{\"a\": 1}')", "open('j.json', 'w').write('{\"a\": 2}')"),
    _native("pyarrow.feather", "import pyarrow.feather", "pyarrow.feather.read_table('j' + str('.arrow')).to_pylist()", _PARQUET.replace("to_parquet('a.pq')", "to_feather('j.arrow')"), _PARQUET_AGAIN.replace("to_parquet('a.pq')", "to_feather('j.arrow')")),
    _native("pyarrow.memory_map", "import pyarrow", "pyarrow.memory_map('data' + str('.txt')).read()", "", _REWRITE),
    _native("pyarrow.input_stream", "import pyarrow", "pyarrow.input_stream('data' + str('.txt')).read()", "", _REWRITE),
]  # fmt: skip
if importlib.util.find_spec("polars"):
    SOURCES += [
        _native("polars.read_csv", "import polars as pl", "pl.read_csv('data' + str('.txt')).columns", "", _REWRITE),
        _native("polars.scan_csv by name", "from polars import scan_csv", "scan_csv('data' + str('.txt')).collect().columns", "", _REWRITE),
        _native("polars.read_parquet", "import polars as pl", f"pl.read_parquet({_AT}).rows()"),
        _native("polars.scan_parquet of a glob", "import polars as pl", "pl.scan_parquet('parts' + str('/*/*')).collect().height", _FOLDER, _FOLDER_AGAIN),
        _native("polars.read_ipc", "import polars as pl", "pl.read_ipc('j' + str('.arrow')).rows()", "import polars as pl; pl.DataFrame({'a': [1]}).write_ipc('j.arrow')", "import polars as pl; pl.DataFrame({'a': [2]}).write_ipc('j.arrow')"),
        _native("polars.scan_ndjson", "import polars as pl", "pl.scan_ndjson('j' + str('.json')).collect().rows()", "open('j.json', 'w').write('{\"a\": 1}')", "open('j.json', 'w').write('{\"a\": 2}')"),
    ]  # fmt: skip

# DuckDB and SQLite, by the SQL that names a file.
_CSV = "open('j.csv', 'w').write('a\\n1\\n')"
_CSV_AGAIN = _CSV.replace("1", "2")
_DUCK = (
    "import duckdb; c = duckdb.connect('d.duckdb'); c.execute('create or replace table t as select 1 as a'); c.close()"
)
_DUCK_AGAIN = _DUCK.replace("1", "2")
_LITE = (
    "import sqlite3; c = sqlite3.connect('d.db'); c.execute('create table if not exists t (a)'); c.commit(); c.close()"
)
_LITE_AGAIN = _LITE.replace("create table if not exists t (a)", "insert into t values (1)")
_CSVS = _FOLDER.split(";")[0] + "; os.makedirs('parts', exist_ok=True); open('parts/a.csv', 'w').write('a\\n1\\n')"
_CSVS_AGAIN = "open('parts/b.csv', 'w').write('a\\n1\\n')"


def _sql(
    name: str,
    text: str,
    first: str = _CSV,
    then: str = _CSV_AGAIN,
    by: str = "duckdb.sql",
    imports: str = "import duckdb",
) -> Case:
    """SQL in which {} stands for what is computed."""
    body = f"{by}({text!r}.replace('{{}}', str('.'))).fetchall()"
    return _native(name, imports, body, first, then)


SOURCES += [
    _sql("duckdb.sql of a quoted path", "select * from 'a{}parquet'", _PARQUET.replace("pq", "parquet"), _PARQUET_AGAIN.replace("pq", "parquet")),
    _sql("duckdb.sql of an identifier", "from j{}csv"),
    _sql("duckdb.sql of a quoted identifier", 'from "j{}csv"'),
    _sql("duckdb.sql of nested SQL", "from query('from ''j{}csv''')"),
    _sql("duckdb.sql of dollars", "from read_csv($x$j{}csv$x$)"),
    _sql("duckdb.sql by name, after an apostrophe", "-- don't\nfrom 'j{}csv'", by="sql", imports="from duckdb import sql"),
    _sql("duckdb.sql of a glob", "from 'parts/*{}csv'", _CSVS, _CSVS_AGAIN),
    _sql("glob of DuckDB that matches nothing", "from glob('parts/b*{}csv')", _CSVS, _CSVS_AGAIN),
    _sql("read_csv of a folder by DuckDB", "from read_csv('{}/parts')", _CSVS, _CSVS_AGAIN),
    _sql("read_csv of a connection", "j{}csv", by="duckdb.connect().read_csv"),
    _sql("filter of a relation", "a in (from 'j{}csv')", by="duckdb.sql('from range(3) r(a)').filter"),
    _sql("table of a connection", "t", _DUCK, _DUCK_AGAIN, by="duckdb.connect('d' + str('.duckdb')).table"),
    _native("duckdb.read_parquet", "import duckdb", f"duckdb.read_parquet({_AT}).fetchall()"),
    _native("duckdb.table_function", "import duckdb", f"duckdb.table_function('read_parquet', [{_AT}]).fetchall()"),
    _native("execute of a connection", "import duckdb", f"duckdb.connect().execute('from read_parquet(?)', [{_AT}]).fetchall()"),
    _native("a statement of DuckDB", "import duckdb\ndef read(c, p):\n    return c.execute(c.extract_statements('from read_parquet(\"' + p + '\")')[0]).fetchall()", f"read(duckdb.connect(), {_AT})"),
    _native("database of DuckDB", "import duckdb\ndef read(p):\n    with duckdb.connect(p) as c:\n        return c.sql('from t').fetchall()", "read('d' + str('.duckdb'))", _DUCK, _DUCK_AGAIN),
    _sql("database attached by DuckDB", "attach 'd{}duckdb' as y", _DUCK, _DUCK_AGAIN, by="read", imports="import duckdb\ndef read(q):\n    c = duckdb.connect()\n    c.execute(q)\n    return c.execute('from y.t')"),
    _sql("database attached by SQLite", "attach 'd{}db' as y", _LITE, _LITE_AGAIN, by="read", imports="import sqlite3\ndef read(q):\n    c = sqlite3.connect(':memory:')\n    c.execute(q)\n    return c.execute('select * from y.t')"),
]  # fmt: skip


def _computed(case: Case) -> Case:
    """The same with a path that no constant of the code names, so that the read alone can tell."""
    text = case.files["m.py"]
    for name in ("data.txt", "d.gz", "d.db"):
        text = text.replace(repr(name), f"str().join([{name[:2]!r}, {name[2:]!r}])")
    return replace(case, name=f"{case.name}, its path computed", files={**case.files, "m.py": text})


# What only a path tells: whether, or how large, a file is.
_BY_PATH = ("size of", "existence")
SOURCES += [
    computed
    for case in SOURCES
    if (computed := _computed(case)).files != case.files and not any(words in case.name for words in _BY_PATH)
]
