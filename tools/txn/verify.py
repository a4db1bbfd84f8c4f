#!/usr/bin/python3
"""Verifies transaction tokens with PyJWT, which was not written for them.

Usage: verify.py KEYS AUDIENCE   (stdin, stdout: as main.go)
"""
import json
import sys

import jwt

with open(sys.argv[1], encoding="utf-8") as file:
    KEYS = {key.key_id: key for key in jwt.PyJWKSet.from_dict(json.load(file)).keys}
REQUIRED = ["iat", "exp", "aud", "txn", "sub", "scope", "req_wl"]


def verify(token):
    header = jwt.get_unverified_header(token)
    if header.get("typ") != "txntoken+jwt":
        raise jwt.InvalidTokenError("typ")
    if header.get("kid") not in KEYS:
        raise jwt.InvalidTokenError("kid")
    return jwt.decode(token, KEYS[header["kid"]].key, algorithms=["ES256", "EdDSA"], audience=sys.argv[2], options={"require": REQUIRED})


for line in sys.stdin:
    try:
        print(json.dumps({"claims": verify(line.strip())}))
    except jwt.PyJWTError as error:
        print(json.dumps({"error": str(error)}))
