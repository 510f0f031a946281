"""What the database itself refuses: UPDATE, DELETE and TRUNCATE of records. Only the retention rule lifts it, within
one transaction, for the records that it names."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

_VERBS = ("update", "delete")
_REFUSED = "records are append-only: {verb} is refused"
_TRUNCATE = "entries_refuse_truncate"


def guard_names(postgresql: bool) -> set[str]:
    """The triggers that must be there."""
    names = {f"entries_refuse_{verb}" for verb in _VERBS}
    return names | {_TRUNCATE} if postgresql else names


def found_guards(connection: Connection) -> set[str]:
    """The triggers of `entries` that are there and in force."""
    if connection.dialect.name == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'entries'::regclass AND tgenabled IN ('O', 'A')"
    else:
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'entries' "
            "AND sql LIKE '%RAISE(ABORT%'"
        )
    return set(connection.exec_driver_sql(query).scalars())


def missing_guards(connection: Connection) -> list[str]:
    """The triggers that are not there or not in force; in PostgreSQL each partition has its own."""
    postgresql = connection.dialect.name == "postgresql"
    missing = sorted(guard_names(postgresql) - found_guards(connection))
    if not postgresql:
        return missing
    query = """
        SELECT wanted.name || ' of ' || part.relid::regclass
        FROM pg_partition_tree('entries') AS part CROSS JOIN unnest(%s::text[]) AS wanted(name)
        WHERE part.isleaf AND NOT EXISTS (
            SELECT FROM pg_trigger AS found
            WHERE found.tgrelid = part.relid AND found.tgname = wanted.name AND found.tgenabled IN ('O', 'A'))
        ORDER BY 1
    """
    each = sorted(guard_names(postgresql) - set(missing))  # named once where it is gone from the whole
    return missing + list(connection.exec_driver_sql(query, (each,)).scalars())


def create_guards(connection: Connection) -> None:
    """Make the triggers."""
    if connection.dialect.name == "sqlite":
        for verb in _VERBS:
            refused = _REFUSED.format(verb=verb.upper())
            connection.exec_driver_sql(
                f"CREATE TRIGGER entries_refuse_{verb} BEFORE {verb.upper()} ON entries "
                f"BEGIN SELECT RAISE(ABORT, '{refused}'); END"
            )
        return
    for verb in _VERBS:
        connection.exec_driver_sql(
            f"CREATE TRIGGER entries_refuse_{verb} BEFORE {verb.upper()} ON entries "
            "FOR EACH ROW EXECUTE FUNCTION inspection_refuse()"
        )
    connection.exec_driver_sql(
        f"CREATE TRIGGER {_TRUNCATE} BEFORE TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION inspection_refuse()"
    )


def drop_guards(connection: Connection) -> None:
    """Take them away, to be made again before the transaction ends."""
    on = " ON entries" if connection.dialect.name == "postgresql" else ""
    for name in sorted(found_guards(connection)):
        connection.execute(text(f"DROP TRIGGER {name}{on}"))


@contextmanager
def lifted(connection: Connection) -> Iterator[None]:
    """Within this block, and its transaction, records can be deleted."""
    drop_guards(connection)
    yield
    create_guards(connection)


def partition_function(connection: Connection) -> None:
    """PostgreSQL: the function that makes a month's partition, with its owner's rights, so that a role which may only
    read and insert can have next month's made."""
    for statement in (
        "CREATE FUNCTION inspection_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'records are append-only: %% is refused', TG_OP; END $$",
        "CREATE TABLE entries_other PARTITION OF entries DEFAULT",
        f"CREATE TRIGGER {_TRUNCATE} BEFORE TRUNCATE ON entries_other "
        "FOR EACH STATEMENT EXECUTE FUNCTION inspection_refuse()",
        "REVOKE ALL ON FUNCTION inspection_refuse() FROM PUBLIC",
    ):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        """
        CREATE FUNCTION inspection_partition(month text) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
        DECLARE
            name text := 'entries_' || replace(month, '-', '_');
            next text := to_char(to_date(month || '-01', 'YYYY-MM-DD') + interval '1 month', 'YYYY-MM');
        BEGIN
            IF month !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' THEN
                RAISE EXCEPTION 'a month looks like 2026-11, got %', month;
            END IF;
            IF to_regclass(name) IS NOT NULL THEN
                RETURN;
            END IF;
            EXECUTE format('CREATE TABLE %I PARTITION OF entries FOR VALUES FROM (%L) TO (%L)', name, month, next);
            EXECUTE format('CREATE TRIGGER entries_refuse_truncate BEFORE TRUNCATE ON %I '
                           'FOR EACH STATEMENT EXECUTE FUNCTION inspection_refuse()', name);
        END $$
        """.replace("%", "%%")
    )
    connection.exec_driver_sql("REVOKE ALL ON FUNCTION inspection_partition(text) FROM PUBLIC")
