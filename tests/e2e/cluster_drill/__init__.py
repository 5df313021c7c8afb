"""The drill of a cluster: `make drill-cluster` runs Fleet on machines that lose power and network, and checks it."""
