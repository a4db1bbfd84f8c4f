#!/usr/bin/python3
"""Asks for a transaction token with Authlib, which was not written for it.

Usage: client.py CONFIG   CONFIG and stdout: as client.mjs, with `endpoint` in place of `issuer`
"""
import json
import sys

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session

with open(sys.argv[1], encoding="utf-8") as file:
    config = json.load(file)
session = OAuth2Session(config["client_id"], token_endpoint_auth_method="none")
session.cert = (config["certificate"], config["key"])
try:
    answer = session.fetch_token(
        config["endpoint"],
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        verify=config["ca"],
        **config["parameters"],
    )
    print(json.dumps(dict(answer)))
except AuthlibBaseError as error:
    print(json.dumps({"error": error.error, "error_description": error.description}))
