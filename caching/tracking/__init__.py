"""Record what a running cached function reads: files, folders, remote objects, SQL, threads and child processes."""
