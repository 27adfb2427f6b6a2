"""The applications of examples/: built for both platforms, pushed, pulled and run."""
