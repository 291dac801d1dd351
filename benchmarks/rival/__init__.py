"""The least project that django-webhook or django-outbound-webhooks needs, chosen by `RIVAL`; run
by the Python of rivals.py's throw-away environment."""
