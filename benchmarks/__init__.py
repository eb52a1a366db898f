"""What `make bench` measures: our page and our clients, each beside others that do the same."""
