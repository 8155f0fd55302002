"""Show every migration's SQL to squawk, which knows the statements that lock or rewrite a busy table.

Renders each Alembic folder offline (no database is contacted, none is changed) and fails when squawk objects.
"""

import io
import subprocess
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

SQUAWK = Path(sys.executable).parent / "squawk"


def rendered_sql(folder: Path) -> str:
    """Return the SQL that would bring an empty database to the newest migration of `folder`."""
    sql = io.StringIO()
    config = Config(output_buffer=sql, stdout=io.StringIO())
    config.set_main_option("script_location", str(folder))
    config.set_main_option("sqlalchemy.url", "postgresql+psycopg://")
    command.upgrade(config, "head", sql=True)
    return sql.getvalue()


def main(environments: list[str]) -> int:
    """Lint the folder of each `env.py` named; return the worst exit status of squawk."""
    worst = 0
    for environment in environments:
        folder = Path(environment).parent
        if not any(folder.glob("versions/*.py")):
            print(f"lint-migrations: {folder} has no migration yet")
            continue
        print(f"lint-migrations: {folder}", flush=True)
        judged = subprocess.run(
            [SQUAWK, "--stdin-filepath", f"{folder}.sql"], input=rendered_sql(folder), text=True, check=False
        )
        worst = max(worst, judged.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
