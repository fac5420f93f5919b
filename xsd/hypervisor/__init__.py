"""The hypervisor as the daemon needs it: Xen, or one that is pretended."""
