"""The tables. `migrations` creates them; a test compares the two."""

from datetime import date, datetime, time
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Enum,
    Float,
    Identity,
    Index,
    Integer,
    MetaData,
    Sequence,
    SmallInteger,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
)  # fmt: skip
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, composite, mapped_column, validates

from shared.domain.apart import IS_APART, IS_HIDDEN
from shared.domain.attributes import are_same
from shared.domain.filter import Exclusion, Filter, ValuesByName, by_name, values_of
from shared.domain.message import OPEN_STATES, MessageState
from shared.domain.priority import Priority
from shared.domain.receipt import RECEIPTS, ReceiptState
from shared.domain.segments import Segment as FixedSegment
from shared.domain.standing import REFUSALS
from shared.domain.state_sql import IS_HELD, IS_RARE, IS_WAITING, names
from shared.domain.text.template import is_template
from shared.domain.window import Window

Timestamp = TIMESTAMP(timezone=True)
State = Enum(MessageState, name="message_state", values_callable=lambda states: [state.value for state in states])
StateOfReceipt = Enum(
    ReceiptState, name="receipt_state", values_callable=lambda states: [state.value for state in states]
)
MailingPriority = Enum(Priority, name="mailing_priority", values_callable=lambda names: [name.value for name in names])


class Attributes(JSONB):
    """Of a client. To Python 1 is true; here it is not."""

    def compare_values(self, x: Any, y: Any) -> bool:
        return are_same(x, y)


class _AsJson(TypeDecorator[Any]):
    """What writes itself as JSON, and is made of it."""

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, _dialect: object) -> Any:
        return None if value is None else value.as_json()

    def process_result_value(self, value: Any, _dialect: object) -> Any:
        return None if value is None else self.kind.of_json(value)


class _ValuesByName(TypeDecorator[Any]):
    """Of attributes, in a filter."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: object) -> Any:
        return None if value is None else values_of(value)

    def process_result_value(self, value: Any, _dialect: object) -> Any:
        return None if value is None else by_name(value)


class _Fixed(TypeDecorator[Any]):
    """Segments, as they were."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: object) -> Any:
        return None if value is None else [one.as_json() for one in value]

    def process_result_value(self, value: Any, _dialect: object) -> Any:
        return None if value is None else tuple(map(FixedSegment.of_json, value))


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )


MESSAGE_IDS = Sequence("message_ids", metadata=Base.metadata)


class Client(Base):
    """A person in the directory."""

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint("phone between 70000000000 and 79999999999", name="phone"),
        # What lists are filtered by, each in the order in which they are walked.
        Index("clients_tag_id_idx", "tag", "id"),
        Index("clients_operator_code_id_idx", "operator_code", "id"),
        Index("clients_timezone_id_idx", "timezone", "id"),
        # What segments are counted by. Who has no attributes costs it nothing.
        Index(
            "clients_attributes_idx",
            "attributes",
            postgresql_using="gin",
            postgresql_ops={"attributes": "jsonb_path_ops"},
            postgresql_where=text("attributes <> '{}'"),
        ),
        Index(
            "clients_reference_key",
            "reference",
            "reference_owner",
            unique=True,
            postgresql_where=text("reference is not null"),
        ),
        Index("clients_suppression_id_idx", "suppression_id", postgresql_where=text("suppression_id is not null")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    phone: Mapped[int] = mapped_column(BigInteger, unique=True)
    operator_code: Mapped[str] = mapped_column(String(3))
    tag: Mapped[str] = mapped_column(String(64), server_default="")
    timezone: Mapped[str] = mapped_column(String(64))
    # What else is known of them: strings, numbers and booleans by name.
    attributes: Mapped[dict[str, str | float | bool]] = mapped_column(Attributes, server_default="{}")
    # Counts the changes of what users can set.
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    reference: Mapped[str | None] = mapped_column(String(64))  # their own name for it; no two of an owner share one
    reference_owner: Mapped[str] = mapped_column(String(64), server_default="")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    suppression_id: Mapped[int | None] = mapped_column(BigInteger)  # their phone must not be written to


class Suppression(Base):
    """A phone that must not be written to, whether or not a client has it: `shared.suppression`."""

    __tablename__ = "suppressions"
    __table_args__ = (
        Index("suppressions_phone_idx", "id", postgresql_where=text("phone is not null")),
        Index("suppressions_key_version_idx", "key_version", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    key_version: Mapped[int] = mapped_column(SmallInteger)  # under which it was made
    reason: Mapped[str] = mapped_column(String(200), server_default="")
    source: Mapped[str] = mapped_column(String(64), server_default="")
    since: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    phone: Mapped[int | None] = mapped_column(BigInteger)  # until it is applied the second time, seconds later


class SuppressionKey(Base):
    """A key that digests are made with: the highest version makes new ones, the others are those that rows need. The
    key itself is not stored, only what tells it from every other one."""

    __tablename__ = "suppression_keys"

    version: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    mark: Mapped[bytes]
    since: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())


class FormerPhone(Base):
    """A phone that a client had: messages that were called under it are repeated to it, and it may be suppressed."""

    __tablename__ = "former_phones"
    __table_args__ = (UniqueConstraint("client_id", "phone"), Index("former_phones_phone_idx", "phone"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    client_id: Mapped[int] = mapped_column(BigInteger)
    phone: Mapped[int] = mapped_column(BigInteger)
    suppression_id: Mapped[int | None] = mapped_column(BigInteger)
    until: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())


class Erasure(Base):
    """A client who was erased, until all that is left of them elsewhere has gone as well: `shared.erasing`."""

    __tablename__ = "erasures"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    client_id: Mapped[int] = mapped_column(BigInteger)
    phone: Mapped[int | None] = mapped_column(BigInteger)  # None: it was not known any more
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())


class Import(Base):
    """A file of clients on its way into the directory. Every batch counts its lines here, in its own transaction."""

    __tablename__ = "imports"
    __table_args__ = (Index("imports_running_idx", "id", postgresql_where=text("ended_at is null")),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), server_default="")  # given by whoever sends it
    # For the audit (`shared.audit.Actor`), which is told when it has ended. None: begun before that was kept.
    by: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    heard_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())  # of the process that reads it
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    failure: Mapped[str | None] = mapped_column(Text)  # why it ended before the file did
    lines: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated: Mapped[int] = mapped_column(BigInteger, server_default="0")
    refused: Mapped[int] = mapped_column(BigInteger, server_default="0")
    errors: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")  # of the first refused lines
    normalised: Mapped[int] = mapped_column(BigInteger, server_default="0")  # lines taken otherwise than spelled
    emptied: Mapped[int] = mapped_column(BigInteger, server_default="0")  # values of which nothing was left
    emptied_values: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")  # where the first ones are
    # How it was read. None: by a version that did not say so.
    encoding: Mapped[str | None] = mapped_column(String(32))
    separator: Mapped[str | None] = mapped_column(String(1))  # of its cells; None also of NDJSON
    columns: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")  # and what each was taken for


class ImportClients(Base):
    """Clients of a chunk of ids whom a batch of an import took, as `shared.audience.imports` keeps them.

    No foreign key: what belongs to an import that is gone is nobody's, and goes slice by slice.
    """

    __tablename__ = "import_clients"

    import_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chunk: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)  # a batch each
    clients: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))


class RefusedLines(Base):
    """Lines that a batch of a file refused, as they stood there; kept for some days. Of one of the two kinds of
    files."""

    __tablename__ = "refused_lines"
    __table_args__ = (
        Index("refused_lines_import_id_id_idx", "import_id", "id"),
        Index(
            "refused_lines_suppression_file_id_id_idx",
            "suppression_file_id",
            "id",
            postgresql_where=text("suppression_file_id is not null"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    import_id: Mapped[int | None] = mapped_column(BigInteger)
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    lines: Mapped[list[list[Any]]] = mapped_column(JSON)  # of each number, errors, value, cells; in their order
    suppression_file_id: Mapped[int | None] = mapped_column(BigInteger)


class SuppressionFile(Base):
    """A file of suppressions: what is to be known of it for as long as the lines that it refused are kept."""

    __tablename__ = "suppression_files"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), server_default="")
    taken_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    heard_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())  # of the process that reads it
    ended_at: Mapped[datetime | None] = mapped_column(Timestamp)
    failure: Mapped[str | None] = mapped_column(Text)  # why it ended before the file did
    lines: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created: Mapped[int] = mapped_column(BigInteger, server_default="0")
    known: Mapped[int] = mapped_column(BigInteger, server_default="0")
    refused: Mapped[int] = mapped_column(BigInteger, server_default="0")
    encoding: Mapped[str | None] = mapped_column(String(32))
    separator: Mapped[str | None] = mapped_column(String(1))
    columns: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")


class Segment(Base):
    """A saved filter."""

    __tablename__ = "segments"
    __table_args__ = (
        Index("segments_name_id_idx", "name", "id"),
        Index("segments_named_segments_idx", "named_segments", postgresql_using="gin"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    filter: Mapped[Filter] = mapped_column(_AsJson(Filter))
    # Counts the changes of what users can set.
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    # What the filter names, and what therefore stays.
    named_segments: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    named_imports: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")


class Mailing(Base):
    """What is to be sent, to whom, from when until when. Its state is computed: `shared.domain.mailing`."""

    __tablename__ = "mailings"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="period"),
        CheckConstraint("draft or starts_at is not null and ends_at is not null", name="times"),
        # A draft is set aside: so none of the indexes by which the leader looks for work has it.
        CheckConstraint("not draft or paused_at is not null and closed_at is not null", name="draft"),
        CheckConstraint("(window_from is null) = (window_until is null)", name="window"),
        # What comes up by time or by a user's change, each found by a look at what is due and at nothing else.
        Index(
            "mailings_starts_at_idx",
            "starts_at",
            postgresql_where=text(
                "launched_at is null and paused_at is null and cancelled_at is null and finished_at is null"
            ),
        ),
        Index("mailings_ends_at_idx", "ends_at", postgresql_where=text("closed_at is null and finished_at is null")),
        Index(
            "mailings_cancelled_idx",
            "id",
            postgresql_where=text("cancelled_at is not null and closed_at is null and finished_at is null"),
        ),
        Index(
            "mailings_window_changed_idx",
            "id",
            postgresql_where=text("window_changed and paused_at is null and finished_at is null"),
        ),
        # What is gone through in turn.
        Index("mailings_unfinished_idx", "id", postgresql_where=text("finished_at is null and not draft")),
        Index("mailings_begun_idx", "id", postgresql_where=text("finished_at is null and audience_limit is not null")),
        # Whose messages are to go, in the order in which they may; and those that are deleted one by one.
        Index(
            "mailings_kept_idx",
            "part",
            "finished_at",
            postgresql_where=text("part is not null and messages_removed_at is null"),
        ),
        Index(
            "mailings_leftover_idx",
            "part",
            postgresql_where=text("messages_removed_at is not null and first_message_id is not null"),
        ),
        # The parts in which messages may be open.
        Index("mailings_part_idx", "part", postgresql_where=text("finished_at is null and part is not null")),
        # Where a message is of which only the id is known: these overlap only while launches go on side by side.
        Index(
            "mailings_message_ids_idx",
            text("int8range(first_message_id, last_message_id, '[]')"),
            postgresql_using="gist",
            postgresql_where=text("first_message_id is not null"),
        ),
        # What the totals still have and nobody is to see; what lists show, and what those of tests do.
        Index("mailings_hidden_idx", "id", postgresql_where=text(f"finished_at is null and {IS_HIDDEN}")),
        Index("mailings_live_idx", "id", postgresql_where=text("deleted_at is null and not test and trial_of is null")),
        Index("mailings_test_idx", "id", postgresql_where=text("test and trial_of is null and deleted_at is null")),
        # What no figure of what is really sent has; the trials of a mailing.
        Index("mailings_apart_idx", "id", postgresql_where=text(IS_APART)),
        Index("mailings_trial_of_id_idx", "trial_of", "id", postgresql_where=text("trial_of is not null")),
        Index(
            "mailings_cancelled_id_idx",
            "id",
            postgresql_where=text("cancelled_at is not null and deleted_at is null"),
        ),
        # Who will ask for what they name; drafts are among these.
        Index(
            "mailings_to_start_idx",
            "id",
            postgresql_where=text("finished_at is null and launched_at is null and cancelled_at is null"),
        ),
        Index("mailings_retry_of_id_idx", "retry_of", "id", postgresql_where=text("retry_of is not null")),
        Index("mailings_retry_root_id_idx", "retry_root", "id", postgresql_where=text("retry_root is not null")),
        Index("mailings_name_key_id_idx", "name_key", "id", postgresql_ops={"name_key": "text_pattern_ops"}),
        Index(
            "mailings_reference_key",
            "reference",
            "reference_owner",
            "test",
            unique=True,
            postgresql_where=text("reference is not null"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), server_default="")  # what people call it
    name_key: Mapped[str] = mapped_column(Text, server_default="")  # the same for whoever looks for it, in any case
    text: Mapped[str] = mapped_column(Text)
    personal: Mapped[bool] = mapped_column(server_default="false")  # the text is a template: `shared.domain.text`
    draft: Mapped[bool] = mapped_column(server_default="false")
    starts_at: Mapped[datetime | None] = mapped_column(Timestamp)  # None: a draft that does not say it yet
    ends_at: Mapped[datetime | None] = mapped_column(Timestamp)
    operator_codes: Mapped[list[str]] = mapped_column(ARRAY(String(3)), server_default="{}")
    tags: Mapped[list[str]] = mapped_column(ARRAY(String(64)), server_default="{}")
    imports: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    window_from: Mapped[time | None]
    window_until: Mapped[time | None]
    timezones: Mapped[list[str]] = mapped_column(ARRAY(String(64)), server_default="{}")
    attributes: Mapped[ValuesByName] = mapped_column(_ValuesByName, server_default="{}")
    segments: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    exclude: Mapped[Exclusion] = mapped_column(_AsJson(Exclusion), server_default="{}")
    filter: Mapped[Filter] = composite(
        Filter, "operator_codes", "tags", "imports", "timezones", "attributes", "segments", "exclude"
    )
    # The segments that the filter is made of, as they were when it was saved.
    fixed_segments: Mapped[tuple[FixedSegment, ...]] = mapped_column(_Fixed, server_default="[]")
    # What the filter names, and what therefore stays until the launch; of imports and mailings, with its segments.
    named_segments: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    named_imports: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    named_mailings: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default="{}")
    sender: Mapped[str | None] = mapped_column(String(32))  # of the provider's; none: the provider's first
    send_window: Mapped[Window | None] = composite(
        Window, "window_from", "window_until", return_none_on=lambda *times: None in times
    )
    # Counts the changes of what users can set.
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")
    reference: Mapped[str | None] = mapped_column(String(64))  # their own name for it; no two of an owner share one
    reference_owner: Mapped[str] = mapped_column(String(64), server_default="")
    priority: Mapped[Priority] = mapped_column(MailingPriority, server_default="normal")
    # It stands apart (`shared.domain.apart`): it was made by a test key; it tries that mailing out.
    test: Mapped[bool] = mapped_column(server_default="false", default=False)
    trial_of: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    paused_at: Mapped[datetime | None] = mapped_column(Timestamp)
    cancelled_at: Mapped[datetime | None] = mapped_column(Timestamp)
    deleted_at: Mapped[datetime | None] = mapped_column(Timestamp)  # hidden; its figures stay in the reports
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)  # over or cancelled, and no message waits any more
    finished_at: Mapped[datetime | None] = mapped_column(Timestamp)  # every message has its final state

    # A retry: it goes to those of that mailing whose messages ended in one of these states, with one of these errors
    # where there are any. The root is the mailing that all retries of a family go back to.
    retry_of: Mapped[int | None] = mapped_column(BigInteger)
    retry_root: Mapped[int | None] = mapped_column(BigInteger)
    retry_states: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    retry_errors: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")

    # The launch: clients up to `audience_limit` belong to the snapshot, those up to `audience_cursor` have a message.
    # Of a retry these are ids of messages of its source.
    audience_limit: Mapped[int | None] = mapped_column(BigInteger)  # None: not begun
    audience_cursor: Mapped[int] = mapped_column(BigInteger, server_default="0")
    audience: Mapped[int] = mapped_column(BigInteger, server_default="0")
    launched_at: Mapped[datetime | None] = mapped_column(Timestamp)  # the snapshot is complete
    # Where its messages are: in one part, among these ids. None: it has none yet.
    part: Mapped[int | None]
    first_message_id: Mapped[int | None] = mapped_column(BigInteger)
    last_message_id: Mapped[int | None] = mapped_column(BigInteger)

    # Its messages are not kept any more; those that are not gone yet are between the ids above.
    messages_removed_at: Mapped[datetime | None] = mapped_column(Timestamp)

    # It was halted, once: while it is paused by that, `paused_at` is the same moment.
    halted_at: Mapped[datetime | None] = mapped_column(Timestamp)
    provider_words: Mapped[str | None] = mapped_column(Text)  # with which the last of its messages was refused

    # The only provider that its messages may go through. None: any.
    provider: Mapped[str | None] = mapped_column(String(64))
    # The routing by which its messages have their lanes: `Lane`.
    routing: Mapped[int] = mapped_column(BigInteger, server_default="0")

    # The send window was changed: messages that wait for the old one are to be looked at again.
    window_changed: Mapped[bool] = mapped_column(server_default="false")

    @validates("name")
    def _fold(self, _: str, name: str) -> str:
        self.name_key = name.casefold()
        return name

    @validates("text")
    def _look_at_text(self, _name: str, text: str) -> str:
        self.personal = is_template(text)
        return text


class Provider(Base):
    """A provider that dispatchers know, or once knew: `shared.lanes`. Numbers stay."""

    __tablename__ = "providers"

    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    is_there: Mapped[bool] = mapped_column(server_default="true")  # among those that dispatchers have by their settings
    given_weight: Mapped[int] = mapped_column(Integer, server_default="1")  # by these
    weight: Mapped[int | None] = mapped_column(Integer)  # by a person, who has the last word
    paused_at: Mapped[datetime | None] = mapped_column(Timestamp)  # by a person: nothing is called through it
    # How much of its weight counts, in hundredths: less where it errs or is slow.
    share: Mapped[int] = mapped_column(SmallInteger, server_default="100")
    share_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())  # unused; older leaders write it
    revision: Mapped[int] = mapped_column(BigInteger, server_default="1")  # counts the changes of what users can set


class Lane(Base):
    """A set of providers, any of which may take a message: `shared.domain.lanes` says which there are."""

    __tablename__ = "lanes"

    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    providers: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger), server_default="{}")
    operator_codes: Mapped[list[str]] = mapped_column(ARRAY(String(3)), server_default="{}")  # whose clients go here
    # Mailings that name one of these go here, whoever their clients are.
    senders: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    routing: Mapped[int] = mapped_column(BigInteger, server_default="0")  # of lane 0: counts the changes of these


class MailingStanding(Base):
    """Where a mailing stands with the provider (`shared.standing`): from what is known first to the mailing's end."""

    __tablename__ = "mailing_standings"
    __table_args__ = (
        Index(
            "mailing_standings_refused_idx",
            "mailing_id",
            postgresql_where=text(f"proven_at is null and refusals >= {REFUSALS}"),
        ),
    )

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    proven_at: Mapped[datetime | None] = mapped_column(Timestamp)  # the first acceptance was recorded
    refusals: Mapped[int] = mapped_column(Integer, server_default="0")  # until then
    words: Mapped[str | None] = mapped_column(Text)  # of the provider, with the last of them
    held_until: Mapped[datetime | None] = mapped_column(Timestamp)  # held back alone
    holds: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # in a row


class Part(Base):
    """A partition of each table that grows; a mailing gets its number at its launch (`shared.database.parts`).

    Launches take the lowest one that is not closed.
    """

    __tablename__ = "parts"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    closed_at: Mapped[datetime | None] = mapped_column(Timestamp)  # no mailing is launched into it any more


class Message(Base):
    """One client of one mailing.

    No foreign keys: they would cost the launch a look-up per row, a mailing's row is never removed, and the messages of
    a removed client stay. Its keys are those of each part (`shared.database.parts`): the id; client and mailing.
    """

    __tablename__ = "messages"
    __table_args__ = (
        # What the feeder looks for: messages that wait, and leases that ran out. A message is in one at most. With the
        # id, since the messages of a slice of a launch share one due time.
        Index(
            "messages_due_idx",
            "mailing_id",
            "lane",
            "due_at",
            "id",
            postgresql_where=text(IS_WAITING),
        ),
        Index("messages_lease_idx", "due_at", postgresql_where=text(IS_HELD)),
        # What a user asks for: the few that were not sent. No move can use it.
        Index("messages_rare_idx", "mailing_id", "status", "id", postgresql_where=text(IS_RARE)),
        CheckConstraint(f"(due_at is null) = (status not in {names(OPEN_STATES)})", name="due_at"),
        {"postgresql_partition_by": "list (part)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, MESSAGE_IDS, server_default=MESSAGE_IDS.next_value())
    mailing_id: Mapped[int] = mapped_column(BigInteger)
    client_id: Mapped[int] = mapped_column(BigInteger)
    phone: Mapped[int | None] = mapped_column(BigInteger)  # None: final before phones were kept
    part: Mapped[int]
    lane: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # which providers may take it: `Lane`
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # calls that are spent
    # What moves comes last: of a new version the WAL has what is behind the first difference.
    claim_id: Mapped[int | None] = mapped_column(BigInteger)  # the fencing token of whoever sends it; None: nobody does
    due_at: Mapped[datetime | None] = mapped_column(Timestamp)  # look at it again if nothing else happens; None: final
    sent_at: Mapped[datetime | None] = mapped_column(Timestamp)
    status: Mapped[MessageState] = mapped_column(State)
    calls: Mapped[int] = mapped_column(SmallInteger, server_default="0")  # that were begun and recorded
    maybe_delivered: Mapped[bool] = mapped_column(server_default="false")  # by any call of it; for good
    error: Mapped[str | None] = mapped_column(String(32))  # of the last attempt: shared.domain.message.Error
    # Set by a call after which the message is still open.
    first_called_at: Mapped[datetime | None] = mapped_column(Timestamp)  # when its first call had ended
    last_called_at: Mapped[datetime | None] = mapped_column(Timestamp)  # when its last one had
    # Through whom its last call went, or goes. None: not claimed yet, or while only one provider was ever known, which
    # is the first.
    provider: Mapped[int | None] = mapped_column(SmallInteger)
    text: Mapped[str | None] = mapped_column(Text)  # made for its client; None: not yet, or it is the mailing's

    __mapper_args__ = {"primary_key": [id]}  # noqa: RUF012 - SQLAlchemy's


class Attempt(Base):
    """A call for a message that is spent, and what the provider said."""

    __tablename__ = "attempts"
    __table_args__ = (
        CheckConstraint("octet_length(words) <= 300", name="words"),
        {"postgresql_partition_by": "list (part)"},
    )

    message_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Timestamp)
    part: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    error: Mapped[str | None] = mapped_column(String(32))  # shared.domain.message.Error; None: accepted
    words: Mapped[str | None] = mapped_column(Text)  # the provider's


class Receipt(Base):
    """What a provider said last of a message whose status is final: `shared.messages.receipts`.

    mailing_id, status: of the message, and as final as that. previous: what it had said before.
    """

    __tablename__ = "receipts"
    __table_args__ = (
        CheckConstraint("octet_length(reason) <= 100", name="reason"),
        {"postgresql_partition_by": "list (part)"},
    )

    message_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    mailing_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Timestamp)  # as the provider says; else when it came
    part: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    status: Mapped[MessageState] = mapped_column(State)
    state: Mapped[ReceiptState] = mapped_column(StateOfReceipt)
    previous: Mapped[ReceiptState | None] = mapped_column(StateOfReceipt)
    reason: Mapped[str | None] = mapped_column(Text)


class MessageReference(Base):
    """A provider's own name for a message, where its receipts know it by no other: `shared.messages.references`."""

    __tablename__ = "message_references"
    __table_args__ = (
        Index("message_references_reference_idx", "reference"),
        {"postgresql_partition_by": "list (part)"},
    )

    message_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    part: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    provider: Mapped[str] = mapped_column(String(64), primary_key=True)
    reference: Mapped[str] = mapped_column(String(200), primary_key=True)


class WaitingReceipt(Base):
    """A receipt that came before its time: the message is still open, or nobody knows the reference yet."""

    __tablename__ = "waiting_receipts"
    __table_args__ = (
        Index(
            "waiting_receipts_message_id_key",
            "message_id",
            unique=True,
            postgresql_where=text("message_id is not null"),
        ),
        Index(
            "waiting_receipts_reference_key",
            "reference",
            "provider",
            unique=True,
            postgresql_where=text("reference is not null"),
        ),
        CheckConstraint("(message_id is null) <> (reference is null)", name="about"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    message_id: Mapped[int | None] = mapped_column(BigInteger)
    came_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    at: Mapped[datetime | None] = mapped_column(Timestamp)
    state: Mapped[ReceiptState] = mapped_column(StateOfReceipt)
    provider: Mapped[str] = mapped_column(String(64))
    reference: Mapped[str | None] = mapped_column(String(200))
    reason: Mapped[str | None] = mapped_column(Text)


class MailingCounter(Base):
    """How many messages of a mailing are in each state: the sum over its slots.

    Every process adds to a slot of its own, so that they do not wait for each other; a single slot may be negative.
    Those of a finished mailing are folded into one.
    """

    __tablename__ = "mailing_counters"
    __table_args__ = (Index("mailing_counters_due_at_idx", "due_at", postgresql_where=text("due_at is not null")),)

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    # The hint: when the mailing is to be looked at because of what was moved in this slot (`shared.messages.hints`).
    due_at: Mapped[datetime | None] = mapped_column(Timestamp)
    first_sent_at: Mapped[datetime | None] = mapped_column(Timestamp)
    last_sent_at: Mapped[datetime | None] = mapped_column(Timestamp)
    # What calls have ended lately, in how many seconds, and until when that was counted (`shared.ledger.pace`).
    pace_count: Mapped[float] = mapped_column(server_default="0")
    pace_seconds: Mapped[float] = mapped_column(server_default="0")
    paced_at: Mapped[datetime | None] = mapped_column(Timestamp)


class MailingOpening(Base):
    """So many messages of a mailing wait until its send window opens at that moment: the sum over its slots, as with
    counters. What was put off is counted; one that is skipped or cancelled before the moment stays in it."""

    __tablename__ = "mailing_openings"

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    opens_at: Mapped[datetime] = mapped_column(Timestamp, primary_key=True)
    messages: Mapped[int] = mapped_column(BigInteger)


for _state in MessageState:
    setattr(MailingCounter, str(_state), mapped_column(BigInteger, nullable=False, server_default="0"))


class ReceiptCounter(Base):
    """What the receipts of a mailing's messages say, as far as they were counted in this slot. There is none where no
    receipt ever came.

    moved_at: the quarter of an hour in which the last one was counted.
    """

    __tablename__ = "receipt_counters"
    __table_args__ = (Index("receipt_counters_moved_at_idx", "moved_at"),)

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    moved_at: Mapped[datetime] = mapped_column(Timestamp)


for _name in RECEIPTS:
    setattr(ReceiptCounter, _name, mapped_column(BigInteger, nullable=False, server_default="0"))


class LedgerTotal(Base):
    """The sums over all mailings that are shown, as far as they were counted in this slot: `shared.ledger.entries`."""

    __tablename__ = "ledger_totals"

    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    mailings: Mapped[int] = mapped_column(BigInteger, server_default="0")
    audience: Mapped[int] = mapped_column(BigInteger, server_default="0")


for _state in MessageState:
    setattr(LedgerTotal, str(_state), mapped_column(BigInteger, nullable=False, server_default="0"))


for _name in RECEIPTS:
    setattr(LedgerTotal, _name, mapped_column(BigInteger, nullable=False, server_default="0"))


class LedgerSlot(Base):
    """A slot of the ledger, and who counts in it: `shared.ledger.slot`."""

    __tablename__ = "ledger_slots"

    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    holder: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime] = mapped_column(Timestamp)  # then it may be given to somebody else


class Tally(Base):
    """What happened in a quarter of an hour: final states reached and errors, by name (`shared.ledger.names`).

    A quarter, because every time zone's midnight falls on one.
    """

    __tablename__ = "tallies"
    __table_args__ = (Index("tallies_quarter_idx", "quarter"),)

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    quarter: Mapped[datetime] = mapped_column(Timestamp, primary_key=True)
    slot: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class MailingBreakdown(Base):
    """The messages of a finished mailing by operator code, status and error: `shared.ledger.breakdown`."""

    __tablename__ = "mailing_breakdowns"
    __table_args__ = (Index("mailing_breakdowns_counted_at_idx", "counted_at"),)

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    counted_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    counts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class MailingMoment(Base):
    """How many messages of a mailing had come to an end by then: `shared.ledger.moments`."""

    __tablename__ = "mailing_moments"

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Timestamp, primary_key=True)
    accepted: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)


class LedgerFinding(Base):
    """A mailing whose counters say something else than its rows, as the last check of the ledger saw it.

    `difference`: by state, and for `audience`, how much more the counters have than the rows. Removed by the check that
    finds none.
    """

    __tablename__ = "ledger_findings"

    mailing_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    found_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    difference: Mapped[dict[str, int]] = mapped_column(JSONB)


class Report(Base):
    """A day whose report has been sent."""

    __tablename__ = "reports"

    day: Mapped[date] = mapped_column(primary_key=True)
    sent_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())


class Limit(Base):
    """When the wire is free next, of all messages that a limit is about: `shared.rates.limits`."""

    __tablename__ = "limits"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    next_at: Mapped[datetime] = mapped_column(Timestamp)


class ProviderReturn(Base):
    """When a dispatcher last saw the provider serve again after an outage; the leader acts on it."""

    __tablename__ = "provider_returns"

    lane: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    returned_at: Mapped[datetime] = mapped_column(Timestamp)


class DispatcherPace(Base):
    """How many messages per second a dispatcher sends, as it says itself about once a second: `shared.rates.paces`."""

    __tablename__ = "dispatcher_paces"

    dispatcher: Mapped[str] = mapped_column(Text, primary_key=True)
    pace: Mapped[float]
    providers: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")  # what it sees of each, by name
    noted_at: Mapped[datetime] = mapped_column(Timestamp)


class BrokerJob(Base):
    """A job of the table broker. `visible_at`: when it may be received; pushed forward while somebody has it."""

    __tablename__ = "broker_jobs"
    __table_args__ = (Index("broker_jobs_queue_visible_at_idx", "queue", "visible_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    queue: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes]
    visible_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.clock_timestamp())
    received_by: Mapped[int | None] = mapped_column(BigInteger)  # the session that has it, or had it last
    reason: Mapped[str | None] = mapped_column(Text)  # why it was buried


class WriteProbe(Base):
    """One row, written to see whether the database takes writes."""

    __tablename__ = "write_probe"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())


class Scaling(Base):
    """One row: how many dispatchers there should be, as the leader reckons it, for whoever starts and stops them."""

    __tablename__ = "scaling"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    wanted: Mapped[int] = mapped_column(Integer)
    oldest_due: Mapped[float] = mapped_column(Float)  # seconds for which somebody has been due
    reckoned_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())


class KeptAnswer(Base):
    """The answer to a request that came with an `Idempotency-Key`, for a day. `status`: None: it is under way."""

    __tablename__ = "kept_answers"
    __table_args__ = (Index("kept_answers_made_at_idx", "made_at"),)

    caller: Mapped[str] = mapped_column(String(12), primary_key=True)  # the id of an API key, or empty
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[bytes]  # of the request
    made_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, str] | None] = mapped_column(JSONB)
    body: Mapped[bytes | None]


class Audit(Base):
    """A change that somebody made: `shared.audit`. A trigger refuses whatever is not a new row."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_thing_thing_id_id_idx", "thing", "thing_id", "id"),
        Index("audit_thing_id_idx", "thing", "id"),
        Index("audit_by_id_idx", "by", "id"),
        Index("audit_action_id_idx", "action", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    by: Mapped[str] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    thing: Mapped[str] = mapped_column(String(32))
    thing_id: Mapped[str] = mapped_column(String(32))
    members: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class ApiKey(Base):
    """A key of the HTTP API. Its secret is stored nowhere, only what it digests to (`api_service.web.key`)."""

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint("scope in ('read', 'test', 'write', 'admin')", name="scope"),)

    id: Mapped[str] = mapped_column(String(12), primary_key=True)  # the public part of the key
    name: Mapped[str] = mapped_column(String(64))  # whose it is, for people
    scope: Mapped[str] = mapped_column(String(8))
    digest: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column(Timestamp)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)
    last_used_at: Mapped[datetime | None] = mapped_column(Timestamp)  # to a minute or two
    warned_at: Mapped[datetime | None] = mapped_column(Timestamp)  # when the log last said that it expires
    made_by: Mapped[str | None] = mapped_column(String(12))  # the key with which it was made; null: on the command line


class Person(Base):
    """Somebody whom the identity provider has signed in on the console (`api_service.access.people`). The audit names
    them by their id alone."""

    __tablename__ = "people"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        CheckConstraint("scope in ('read', 'test', 'write', 'admin')", name="scope"),
    )

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    issuer: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(String(255))  # what the issuer calls them
    name: Mapped[str] = mapped_column(String(64))  # for people
    scope: Mapped[str] = mapped_column(String(8))  # what their groups allowed when they last signed in
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    signed_in_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())  # last


class Session(Base):
    """Somebody who has signed in on the console, with a key or at the identity provider. Its token is stored nowhere,
    only what it digests to (`api_service.access.sessions`)."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_expires_at_idx", "expires_at"),
        Index("sessions_person_id_idx", "person_id"),
        CheckConstraint("num_nonnulls(key_id, person_id) = 1", name="whose"),
    )

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    key_id: Mapped[str | None] = mapped_column(String(12))
    person_id: Mapped[str | None] = mapped_column(String(12))
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(Timestamp)
    authenticated_at: Mapped[datetime | None] = mapped_column(
        Timestamp
    )  # when they last proved who they are; null: not known
    id_token: Mapped[bytes | None]  # encrypted under the session's token
