"""The dispatcher's pipeline: receive jobs → claim → send → record → settle, in batches.

Threads that meet only at queues: one talks to the broker (`intake`), one to the database (`recorder`), one to the
provider (`dispatcher_service.sending.sender`), and one stands in for it where something is only tried
(`dispatcher_service.sending.built_in`); `worker` puts them together. The order of settling is status committed,
then the wake-up of what is tried again published: one that is lost costs nothing but time, as a message is found by its
due time.
"""
