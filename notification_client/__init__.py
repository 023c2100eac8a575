"""The client of the notification service, for programs in Python.

from notification_client import ApiClient

with ApiClient("https://notify.example", key="nsk_…") as client:
    client.create_client("79123456789", tag="vip")
"""

from notification_client.client import ApiClient, Json
from notification_client.errors import ApiError

__all__ = ["ApiClient", "ApiError", "Json"]
