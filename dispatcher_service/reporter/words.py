"""The letter's words, in English and in Russian."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from shared.domain.message import Error, MessageState


@dataclass(frozen=True, slots=True)
class Words:
    """{…} in a sentence is filled in. states, errors: what is said of each, where it is not what the list says."""

    language: str
    months: tuple[str, ...]
    comma: str  # before a fraction
    thousands: str  # between groups of digits
    title: str
    no_messages: str
    accepted_rate: str
    warns_ledger: str
    warns_failed: str
    kicker: str
    period: str
    accepted: str
    accepted_note: str
    finished: str
    mailings: str
    repeated: str
    repeated_note: str
    by_hour: str
    plot_alternative: str
    plot_accepted: str
    plot_others: str
    by_status: str
    by_kind: str
    by_receipt: str
    by_reason: str
    by_operator: str
    of_finished: str
    unknown_operator: str
    by_size: str
    mailing: str
    audience: str
    text: str
    none: str
    more: str
    and_more: str
    failed: str
    failed_mark: str
    ledger: str
    unbalanced: str
    why_unbalanced: str
    balanced: str
    plain_unbalanced: str
    plain_balanced: str
    receipts: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    errors: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def day(self, day: date) -> str:
        """Independent of the locale of the process."""
        return f"{day.day} {self.months[day.month - 1]} {day.year}"

    def state(self, state: MessageState) -> str:
        return self.states.get(state, (state, ""))[0]

    def of_state(self, state: MessageState) -> str:
        return self.states.get(state, ("", state.meaning))[1]

    def error(self, error: str) -> str:
        return self.errors.get(error, (error, ""))[0]

    def of_error(self, error: Error) -> str:
        return self.errors.get(error, ("", error.meaning))[1]


ENGLISH = Words(
    language="en",
    months=(
        *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
        *("November", "December"),
    ),
    comma=".",
    thousands=",",
    title="Mailings on {day}",
    no_messages="no messages",
    accepted_rate="{rate} accepted",
    warns_ledger="Ledger unbalanced!",
    warns_failed="{number} failed as a whole!",
    kicker="Daily report of mailings",
    period="{start} to {end}, {zone}",
    accepted="Accepted",
    accepted_note="by the provider, of what was to be sent: cancelled messages do not count",
    finished="Messages finished",
    mailings="Mailings processed",
    repeated="Repeated calls",
    repeated_note="of messages that the provider may have had already: so many clients, at most, got one twice",
    by_hour="Messages by hour",
    plot_alternative="Messages by hour, at most {most} in one: accepted, and ended otherwise",
    plot_accepted="accepted",
    plot_others="ended otherwise; at most {most} in an hour together",
    by_status="Messages by status",
    by_kind="Attempts that were not accepted, by kind",
    by_receipt="Receipts of this day: what providers said of accepted messages",
    by_reason="Why messages were not accepted",
    by_operator="By operator code",
    of_finished="Of the mailings that were finished on this day",
    unknown_operator="unknown",
    by_size="Mailings by size",
    mailing="mailing",
    audience="audience",
    text="text",
    none="none",
    more="{ids} and {more} more",
    and_more="and {more} more",
    failed="Failed as a whole: the provider has accepted nothing of mailing {ids}.",
    failed_mark="nothing accepted",
    ledger="Ledger",
    unbalanced="The ledger does not balance",
    why_unbalanced="for mailing {ids}: its counters and its messages disagree. Either somebody has changed the tables,"
    " or this is a defect.",
    balanced="The ledger balances: counters and messages of every mailing agree.",
    plain_unbalanced="DOES NOT BALANCE for mailing {ids}:",
    plain_balanced="Balanced: counters and messages of every mailing agree.",
    receipts={
        "delivered": "delivered",
        "undelivered": "not delivered",
        "unknown_delivered": "delivered, of those that ended as unknown",
        "unknown_undelivered": "not delivered, of those that ended as unknown",
    },
)

RUSSIAN = Words(
    language="ru",
    months=(
        *("января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября"),
        *("ноября", "декабря"),
    ),
    comma=",",
    thousands="\u00a0",
    title="Рассылки за {day}",
    no_messages="сообщений не было",
    accepted_rate="принято {rate}",
    warns_ledger="Учёт не сходится!",
    warns_failed="Не удались целиком: {number}!",
    kicker="Ежедневный отчёт о рассылках",
    period="с {start} до {end}, {zone}",
    accepted="Принято",
    accepted_note="провайдером из того, что надо было отправить; отменённые не считаются",
    finished="Сообщений завершено",
    mailings="Рассылок обработано",
    repeated="Повторных вызовов",
    repeated_note="по сообщениям, которые провайдер мог уже получить: не больше стольких клиентов получили одно дважды",
    by_hour="Сообщения по часам",
    plot_alternative="Сообщения по часам, не больше {most} за час: принятые и завершённые иначе",
    plot_accepted="принято",
    plot_others="завершено иначе; вместе не больше {most} за час",
    by_status="Сообщения по статусам",
    by_kind="Непринятые попытки по видам",
    by_receipt="Отчёты о доставке за день: что провайдеры сообщили о принятых сообщениях",
    by_reason="Почему сообщения не приняты",
    by_operator="По кодам операторов",
    of_finished="По рассылкам, завершённым в этот день",
    unknown_operator="неизвестен",
    by_size="Рассылки по размеру",
    mailing="рассылка",
    audience="аудитория",
    text="текст",
    none="нет",
    more="{ids} и ещё {more}",
    and_more="и ещё {more}",
    failed="Не удались целиком: провайдер не принял ни одного сообщения рассылки {ids}.",
    failed_mark="ничего не принято",
    ledger="Учёт",
    unbalanced="Учёт не сходится",
    why_unbalanced="для рассылки {ids}: счётчики и сообщения расходятся. Кто-то изменил таблицы, или это ошибка"
    " программы.",
    balanced="Учёт сходится: счётчики и сообщения каждой рассылки совпадают.",
    plain_unbalanced="НЕ СХОДИТСЯ для рассылки {ids}:",
    plain_balanced="Сходится: счётчики и сообщения каждой рассылки совпадают.",
    receipts={
        "delivered": "доставлено",
        "undelivered": "не доставлено",
        "unknown_delivered": "доставлено из завершённых как «неизвестно»",
        "unknown_undelivered": "не доставлено из завершённых как «неизвестно»",
    },
    states={
        "sent": ("принято", "принято провайдером"),
        "failed": ("отказ", "отклонено окончательно или кончились попытки; не доставлено"),
        "unknown": ("неизвестно", "завершено без успеха после вызова, который мог доставить сообщение"),
        "expired": ("просрочено", "не доставлено до конца рассылки"),
        "cancelled": ("отменено", "не доставлено: рассылка отменена или удалена, или клиент удалён"),
        "skipped": ("пропущено", "не отправлялось: причина — в статистике рассылки"),
    },
    errors={
        "rejected": ("отклонено", "4xx о сообщении: провайдер не примет его никогда"),
        "unauthorized": ("нет доступа", "401, 403, 407: провайдер не принимает наш токен"),
        "unpaid": ("не оплачено", "402: счёт у провайдера пуст или закрыт"),
        "wrong_address": ("не тот адрес", "404, 405, 410: по адресу PROVIDER_URL нет провайдера"),
        "redirected": ("перенаправление", "3xx: провайдер указывает на другой адрес, туда мы не идём"),
        "rate_limited": ("лимит", "429: слишком много вызовов для провайдера"),
        "server_error": ("сбой провайдера", "408, 425, 5xx: провайдер не справился"),
        "declined": ("отказано", "2xx, но `code` не 0: провайдер говорит «нет»"),
        "bad_answer": ("плохой ответ", "2xx, но не объект JSON с целым `code`; обрезан или слишком длинный"),
        "contradiction": ("противоречие", "2xx с JSON, где имя дано дважды: может значить и «да», и «нет»"),
        "unreachable": ("нет связи", "нет соединения, DNS или TLS: запрос не отправлен"),
        "provider_down": ("провайдер лежит", "провайдер не обслуживал никого: сообщению это не засчитано"),
        "timed_out": ("нет ответа", "нет ответа вовремя после отправки запроса"),
        "connection_lost": ("обрыв", "соединение оборвалось после отправки запроса"),
        "opted_out": ("отписка", "клиент в списке тех, кому нельзя писать"),
        "missing_value": ("нет значения", "для текста не хватает значения, или в нём было бы нечего читать"),
        "too_long": ("слишком длинно", "текст длиннее, чем может быть сообщение, или его слишком долго составлять"),
        "restored": ("база восстановлена", "база возвращена к более раннему моменту, и с тех пор его могли отправить"),
        "lease_lost": ("потерян", "диспетчер, у которого было сообщение, исчез или не успел записать итог"),
    },
)

LANGUAGES = {words.language: words for words in (ENGLISH, RUSSIAN)}
