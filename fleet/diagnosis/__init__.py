"""What `fleet doctor` and `fleet ps` report: the checks of a machine or a cluster, and OpenCode's processes."""
