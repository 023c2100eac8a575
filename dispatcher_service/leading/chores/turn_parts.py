"""There is always a part to launch into, and one that is ready after it."""

from dispatcher_service.leading.chores.chore import Chore, Step
from shared.logs import logger
from shared.retention import parts


class TurnParts(Chore):
    """Closes the part that is launched into when it is full, and makes the one that comes after the next."""

    name = "turn_parts"
    pause = 10.0

    def work(self, step: Step) -> bool | None:
        done = step.acts.run(self.name, None, lambda connection, _: parts.turn(connection))
        if done is None:
            return None
        for table in done.completed:
            logger().info("part_completed", table=table)
        for number in done.closed:
            logger().info("part_closed", part=number)
        for number in done.made:
            logger().info("part_made", part=number)
        return False
