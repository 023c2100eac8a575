"""The HTTP server: waitress in a few processes, made fit for clients that are slow or do not speak HTTP."""
