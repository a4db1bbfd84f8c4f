package orders_test

import data.orders

# The example of RFC 7515 §A.3.
key := {
	"kty": "EC",
	"crv": "P-256",
	"kid": "example",
	"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
	"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}

private_key := object.union(key, {"d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})

token(changes) := io.jwt.encode_sign(
	{"alg": "ES256", "kid": "example", "typ": "at+jwt"},
	object.union(
		{
			"iss": "https://login.core-platform.internal",
			"aud": "orders",
			"scope": "profile orders",
			"exp": (time.now_ns() / 1000000000) + 60,
		},
		changes,
	),
	private_key,
)

keys := {"issuer": "https://login.core-platform.internal", "keys": [key]}

now_ms := time.now_ns() / 1000000

test_reads_with_a_token if {
	orders.allow with input as {"method": "GET", "token": token({})}
		with data.keys.login as keys
}

test_no_keys_no_access if {
	not orders.allow with input as {"method": "GET", "token": token({})}
}

test_refused[note] if {
	some note, changes in {
		"another issuer": {"iss": "https://login.example"},
		"another audience": {"aud": "payments"},
		"expired": {"exp": 1},
		"no scope": {"scope": "profile"},
	}
	not orders.allow with input as {"method": "GET", "token": token(changes)}
		with data.keys.login as keys
}

test_writes_with_recent_keys if {
	orders.allow with input as {"method": "POST", "token": token({})}
		with data.keys.login as keys
		with data.system.notp.sources.issuers.login as {"state": "ok", "good_ms": now_ms - 1000}
}

test_does_not_write_with_old_keys[state] if {
	some state, status in {
		"failing": {"state": "failing", "good_ms": now_ms - 1000},
		"two days old": {"state": "late", "good_ms": now_ms - 172800000},
	}
	not orders.allow with input as {"method": "POST", "token": token({})}
		with data.keys.login as keys
		with data.system.notp.sources.issuers.login as status
}
