"""The API of the webhooks: the same operations as the admin and the commands, over HTTP.

Include `webhooks.api.urls` under the API's prefix.
"""
