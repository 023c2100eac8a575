"""What every room needs of HTTP: the document, problems, fields, pages, the door."""
