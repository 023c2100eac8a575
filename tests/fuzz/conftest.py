"""The database and its books are those of the integration tests."""

from tests.integration.conftest import books, books_engine, books_url

__all__ = ["books", "books_engine", "books_url"]
