"""What outlives a process: tapes of an engine's inputs as files."""
