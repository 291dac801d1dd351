"""How gunicorn serves the site; it reads this file where it is started beside it.

Options of the command line and of GUNICORN_CMD_ARGS come before these.
"""

# With one thread, whoever waits for a receiver (a webhook's test) would stop the whole process.
# WEBHOOKS["TEST_CONCURRENCY"] of them may wait at one time, which should stay a quarter of these.
threads = 8
