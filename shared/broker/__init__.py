"""The broker: transport for jobs. One port (`base`), two adapters (`rabbitmq`, `table`)."""
