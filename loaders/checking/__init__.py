"""Check that the sources of a project are interchangeable.

Swapping data sources is safe only if they are the same from outside. `sourceswap check` says so before anything runs:

```console
sourceswap check                          # modules and configuration; no data, no credentials
sourceswap check --live --env prod        # probe the real files, at most 256 KiB of each
sourceswap check --format github          # annotations for a pull request
sourceswap diff staging prod orders -o report.html
```

`check` looks at every source and environment of a project. Each loader module must export the same datasets with the
same columns and types, as their contracts say, take its inputs under the same names, and be documented alike. What
looks like a loader and is no Hamilton node (a callable object, an imported or private function, a method) is pointed
out. Each environment must resolve, give exactly the inputs that its source takes, in locations that the source reads,
and run the same dataflow, all of whose columns exist; secrets in files are errors and never shown.

`--live` fetches a Parquet footer or the head and tail of a CSV, compressed or not, and holds names, types, nulls and
order against the contract and one environment against the other. Rows and age are told where footer or store know
them; of a dataset in many parts a sample is probed, or each with `--all-parts`.

Each finding says module, function, file and line, expected, found, and what to do. An error makes the exit code 1, a
warning only with `--strict`; `--ignore RULE` leaves a rule out. In a test it is

```python
from loaders import check_interchangeable
report = check_interchangeable("configs")
assert report.ok, report
```

`diff` loads one dataset from two environments, through the cache, and says how the data differs: schema, rows, keys on
one side only, changed values, and for each column nulls, distinct values, range, quantiles and the most frequent.
"""

from loaders.checking.findings import Finding
from loaders.checking.project import assert_interchangeable, check_interchangeable
from loaders.checking.report import Report

__all__ = ["Finding", "Report", "assert_interchangeable", "check_interchangeable"]
