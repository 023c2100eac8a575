"""The sending side: the dispatcher with its feeder, and the reporter."""
