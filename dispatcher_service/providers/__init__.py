"""The command `python -m dispatcher_service.providers`: is a file of providers right, and does a provider answer."""
