"""The servers that tests run against."""
