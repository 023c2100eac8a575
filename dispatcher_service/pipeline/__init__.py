"""The dispatcher's pipeline: receive jobs → claim → send → record → settle, in batches.

Three threads that meet only at queues: one talks to the broker (`intake`), one to the database (`recorder`), one to the
provider (`dispatcher_service.sending.sender`); `worker` puts them together. The order of settling is status committed,
then retry jobs confirmed, then ack: a crash in between costs a job that comes again and finds nothing to do.
"""
