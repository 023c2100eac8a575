"""The dispatcher where the system allows 1 024 open files, and no more: `python -m tests.support.limited`."""

import resource
import sys

from dispatcher_service.__main__ import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    sys.exit(main())
