# Who may read and write orders, by the access token that the caller presents.
#
# The keys of the issuer are at data.keys.login: they are in a ledger of their own, which the registry fills. The whole set
# goes to the built-in, as it is. So a node notices a key that it does not have, and asks the registry for it.
package orders

default allow := false

allow if {
	input.method == "GET"
	"orders" in scopes
}

allow if {
	input.method == "POST"
	"orders" in scopes
	keys_are_recent
}

claims := payload if {
	[valid, _, payload] := io.jwt.decode_verify(input.token, {
		"cert": json.marshal(data.keys.login),
		"iss": "https://login.core-platform.internal",
		"aud": "orders",
	})
	valid
}

scopes := split(claims.scope, " ")

# Writing needs keys that the registry has confirmed with the provider within a day.
keys_are_recent if {
	status := data.system.notp.sources.issuers.login
	status.state in {"ok", "late"}
	(time.now_ns() / 1000000) - status.good_ms < 86400000
}
