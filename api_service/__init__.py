"""The HTTP API: the directory of clients, the mailings, their statistics."""

from shared import garbage

garbage.spare_imports()  # here, since this comes before all that the program imports
