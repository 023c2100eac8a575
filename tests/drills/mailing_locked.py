"""mailing-locked."""

import psycopg2
import psycopg2.extensions

from tests.drills.drill import Drill
from tests.drills.scene import Scene

WHO = (
    "select pid, now() - xact_start as since, usename, application_name, query from pg_stat_activity"
    " where state = 'idle in transaction' order by xact_start limit 5"
)
END = "select pg_terminate_backend(PID)"


class MailingLocked(Drill):
    sentence = "Somebody has locked the row of a mailing and gone for a coffee; their session is ended."
    alarms = ("ChoreSetAside",)
    page = "chore-set-aside"
    says = (WHO, END, "it goes on within five seconds")

    _somebody: psycopg2.extensions.connection | None = None

    def bring_about(self, scene: Scene) -> str:
        mailing_id = scene.mail(starts=3)
        self._somebody = somebody = psycopg2.connect(scene.system.database_url, application_name="psql")
        somebody.cursor().execute("select from mailings where id = %s for update", (mailing_id,))
        return f"mailing {mailing_id}, which is to start in 3 s, is locked"

    def look(self, scene: Scene) -> str:
        self._pid, since, user, program, _ = scene.psql(WHO)[0]
        assert self._somebody
        assert self._pid == self._somebody.info.backend_pid
        return f"pg_stat_activity: {user} by {program}, in a transaction for {since.total_seconds():.0f} s"

    def remedy(self, scene: Scene) -> str:
        assert scene.psql(END.replace("PID", str(self._pid))) == [(True,)]
        return f"session {self._pid} is ended"

    def close(self) -> None:
        if self._somebody:
            self._somebody.close()
