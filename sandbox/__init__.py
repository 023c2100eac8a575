"""What surrounds the product when it is tried out: a provider simulator, clients from the real numbering plan, and the
processes of `make run` and `make demo`. Nothing in production imports it."""
