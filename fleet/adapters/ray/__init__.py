"""The adapter for hosts of a Ray cluster: `fleet.ports.Hosts` and `Host` over Ray.

Ray may end the process that connects to it, so only `sidecar`, a process of its own, imports ray. `engine` talks to it
in `frames`. Each machine has one `agent`, a Ray actor that runs the adapters of its machine; `calls` encodes the calls.
`docs/adr/0046-ray-in-a-sidecar.md` has the measured behaviour behind this.
"""
