# Who may read and write invoices, by the access token that the caller presents. It is a reference token, of which the token
# lane says what it stands for, or a JWT of the company's login that nothing has revoked.
package invoices

import data.system.notp.tokens

default allow := false

allow if {
	needed_scope in scopes
	is_meant_here
	is_recent_enough
}

# With what a caller may be told.
decision := {"allow": allow, "reasons": reasons, "lane": {"state": lane.state, "revision": lane.revision}}

default lane := {"state": "unknown", "revision": 0}

lane := tokens.lane

# What the token says; undefined when it is unknown, has ended, or is revoked.
claims := record if {
	record := tokens.lookup(input.token)
} else := verified if {
	[valid, _, verified] := io.jwt.decode_verify(input.token, {
		"cert": json.marshal(data.keys.login),
		"iss": "https://login.core-platform.internal",
		"aud": "invoices",
	})
	valid
	not tokens.revoked(verified) # its subject, session or number, or its place in a status list
	not tokens.revoked(input.token) # the token itself
}

scopes := split(claims.scope, " ")

needed_scope := data.invoices.scope_of[input.method]

is_meant_here if "invoices" in claims.aud

is_meant_here if claims.aud == "invoices"

# Reading goes on while the registry is away, for as long as the lane's terms allow. Writing does not.
is_recent_enough if input.method == "GET"

is_recent_enough if lane.state == "live"

reasons contains "no living token" if not claims

reasons contains sprintf("the scope %s is missing", [needed_scope]) if not needed_scope in scopes

reasons contains sprintf("no scope allows %s", [input.method]) if not needed_scope

reasons contains "the token is for others" if {
	claims
	not is_meant_here
}

reasons contains sprintf("the lane is %s: only reading goes on", [lane.state]) if not is_recent_enough
