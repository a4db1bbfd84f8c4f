package invoices_test

import data.invoices

# What the lane knows in these tests: one reference token. OPA replaces the functions by these.
record := {
	"iss": "https://login.core-platform.internal",
	"sub": "ana",
	"client": "till",
	"aud": ["invoices"],
	"scope": "profile invoices.read",
	"exp": 4000000000,
}

lookup("reference-1") := record

revoked(_) := false

everything_revoked(_) := true

live := {"name": "tokens", "revision": 7, "age_s": 1, "state": "live", "mode": "push"}

# The example of RFC 7515 §A.3.
key := {
	"kty": "EC",
	"crv": "P-256",
	"kid": "example",
	"x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
	"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}

private_key := object.union(key, {"d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})

keys := {"issuer": "https://login.core-platform.internal", "keys": [key]}

jwt(changes) := io.jwt.encode_sign(
	{"alg": "ES256", "kid": "example", "typ": "at+jwt"},
	object.union(
		{
			"iss": "https://login.core-platform.internal",
			"aud": "invoices",
			"sub": "ana",
			"scope": "invoices.read invoices.write",
			"iat": (time.now_ns() / 1000000000) - 60,
			"exp": (time.now_ns() / 1000000000) + 60,
		},
		changes,
	),
	private_key,
)

unknown(token) := record if token == "no token"

decide(question, lane) := answer if {
	answer := invoices.decision with input as question
		with data.system.notp.tokens.lookup as lookup
		with data.system.notp.tokens.revoked as revoked
		with data.system.notp.tokens.lane as lane
		with data.keys.login as keys
}

test_reads_with_a_reference_token if {
	decide({"method": "GET", "token": "reference-1"}, live) == {
		"allow": true,
		"reasons": set(),
		"lane": {"state": "live", "revision": 7},
	}
}

test_refused[note] if {
	some note, [method, token, reason] in {
		"unknown token": ["GET", "reference-2", "no living token"],
		"no token": ["GET", "", "no living token"],
		"scope": ["POST", "reference-1", "the scope invoices.write is missing"],
		"method": ["PATCH", "reference-1", "no scope allows PATCH"],
	}
	answer := decide({"method": method, "token": token}, live)
	not answer.allow
	reason in answer.reasons
}

test_a_token_for_others if {
	answer := invoices.decision with input as {"method": "GET", "token": "reference-1"}
		with data.system.notp.tokens.lookup as {"aud": ["payments"], "scope": "invoices.read"}
		with data.system.notp.tokens.lane as live
	answer.reasons == {"the token is for others"}
	not answer.allow
}

test_writes_with_a_jwt if {
	decide({"method": "POST", "token": jwt({})}, live).allow
}

test_a_jwt_that_is_refused[note] if {
	some note, changes in {
		"another issuer": {"iss": "https://login.example"},
		"another audience": {"aud": "payments"},
		"expired": {"exp": 1},
	}
	not decide({"method": "GET", "token": jwt(changes)}, live).allow
}

test_a_jwt_that_is_revoked if {
	not invoices.allow with input as {"method": "GET", "token": jwt({})}
		with data.system.notp.tokens.lookup as unknown
		with data.system.notp.tokens.revoked as everything_revoked
		with data.system.notp.tokens.lane as live
		with data.keys.login as keys
}

# While the registry is away.
test_only_reads_with_a_lane_that_lags if {
	lagging := object.union(live, {"state": "lagging", "age_s": 40})
	decide({"method": "GET", "token": jwt({})}, lagging).allow
	written := decide({"method": "POST", "token": jwt({})}, lagging)
	not written.allow
	written.reasons == {"the lane is lagging: only reading goes on"}
}

# An agent without a lane, or a registry that has none.
test_without_a_lane_nobody_gets_in if {
	not invoices.allow with input as {"method": "GET", "token": "reference-1"}
}
