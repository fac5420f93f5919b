"""The daemon process: command line, configuration, logs, pid file, start and stop."""
