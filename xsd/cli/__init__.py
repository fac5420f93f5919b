"""The command `xsd`: the daemon, and a client for each of Xen's xenstore-* tools."""
