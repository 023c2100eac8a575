"""The schema's history, applied by `shared.migrate`."""
