"""The sending side: the dispatcher with its feeder, and the reporter."""

from shared import garbage

garbage.spare_imports()  # here, since this comes before all that the program imports
