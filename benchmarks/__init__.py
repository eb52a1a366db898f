"""What `make bench` measures: our page beside the same page in plain JavaScript."""
