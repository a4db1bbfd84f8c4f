# Decides whether a token is to be believed.
#
# The gateway has checked the signature against the key that the token names, and hands over the
# token's header, its claims and the time of the request. Whether that key may speak for that issuer
# today is decided here, because key sets travel with the policy: a key taken out of
# keys/<issuer>/data.json stops counting on every node with the release that takes it out.
package gateway.token

import rego.v1

problems contains "no token" if not input.token

problems contains "the issuer is not trusted" if {
	input.token
	not issuer
}

problems contains "the key is not one of the issuer's keys" if {
	issuer
	not key
}

# Without this, a token could name an RSA key and ask for another algorithm to check it with.
problems contains "the algorithm is not the key's" if key.alg != input.token.header.alg

problems contains "the token is for another audience" if {
	issuer
	not issuer.audience in audiences
}

problems contains "the token has expired" if input.received_at_s >= input.token.claims.exp

problems contains "the token is not valid yet" if input.received_at_s < input.token.claims.nbf

problems contains "the token lives longer than its issuer may grant" if {
	dated
	input.token.claims.exp - input.token.claims.iat > issuer.lifetime_s_max
}

problems contains "exp, iat and the time of the request must be numbers" if {
	input.token
	not dated
}

dated if {
	is_number(input.token.claims.exp)
	is_number(input.token.claims.iat)
	is_number(input.received_at_s)
}

issuer := data.gateway.issuers[input.token.claims.iss]

key := found if {
	some found in data.keys[issuer.key_set].keys
	found.kid == input.token.header.kid
	found.use == "sig"
}

# RFC 7519, section 4.1.3: one string, or an array of them.
audiences := {input.token.claims.aud} if is_string(input.token.claims.aud)

audiences := {audience | some audience in input.token.claims.aud} if is_array(input.token.claims.aud)
