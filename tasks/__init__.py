"""What a job is: contracts, kinds, their registry, errors, the Celery application and the sending of hints."""
