"""Settings that come as files, one per variable, the way orchestrators hand out secrets.

/run/secrets/DATABASE_URL becomes DATABASE_URL, unless the environment has it. Python does this when it starts,
so that what `docker compose exec` starts has the settings too, as it would not have from an entrypoint.
"""

import os
from pathlib import Path

for file in Path("/run/secrets").glob("*"):
    if file.name.isupper() and os.access(file, os.R_OK) and not os.environ.get(file.name):
        os.environ[file.name] = file.read_text(encoding="utf-8").strip()
