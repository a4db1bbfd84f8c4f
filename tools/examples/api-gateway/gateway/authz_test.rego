package gateway.authz_test

import rego.v1

import data.gateway.authz

corporate := "https://login.core-platform.internal"

partner := "https://id.parcel-partner.example"

key_of := {corporate: data.keys["corporate-idp"].keys[0], partner: data.keys["partner-idp"].keys[0]}

# A sound request of a support agent; each test changes the one thing it is about.
request(method, path, token) := {
	"request": {"method": method, "path": path},
	"token": token,
	"received_at_s": 1700000100,
}

token_of(issuer, groups) := {
	"header": {"kid": key_of[issuer].kid, "alg": key_of[issuer].alg},
	"claims": {
		"iss": issuer,
		"sub": "someone",
		"aud": "api.core-platform.internal",
		"iat": 1700000000,
		"nbf": 1700000000,
		"exp": 1700000300,
		"groups": groups,
	},
}

support := token_of(corporate, ["support"])

with_claim(token, name, value) := object.union(token, {"claims": {name: value}})

with_header(token, name, value) := object.union(token, {"header": {name: value}})

test_support_reads_an_order if {
	authz.allow with input as request("GET", "/v1/orders/42", support)
}

test_support_may_not_erase_a_customer if {
	reasons := authz.reasons with input as request("DELETE", "/v1/customers/7", support)
	reasons == {"none of the caller's roles grants customers:erase"}
}

test_roles_add_up if {
	both := token_of(corporate, ["support", "privacy"])
	authz.allow with input as request("DELETE", "/v1/customers/7", both)
	authz.allow with input as request("POST", "/v1/orders/42/cancel", both)
}

test_health_needs_no_token if {
	authz.allow with input as {"request": {"method": "GET", "path": "/health"}}
}

test_no_token_denies_everything_else if {
	decision := authz.decision with input as {"request": {"method": "GET", "path": "/v1/orders"}}
	not decision.allow
	"no token" in decision.reasons
}

test_an_unknown_path_is_denied if {
	decision := authz.decision with input as request("GET", "/v1/secrets", support)
	not decision.allow
	decision.route == null
}

test_a_star_is_one_segment_and_not_none if {
	not authz.allow with input as request("GET", "/v1/orders/", support)
	not authz.allow with input as request("GET", "/v1/orders/42/lines", support)
}

test_two_matching_routes_are_denied if {
	twice := object.union(data.gateway.routes, {"again": {"methods": ["GET"], "path": "/v1/*", "public": true}})
	not authz.allow with input as request("GET", "/v1/orders", support) with data.gateway.routes as twice
}

test_a_partner_group_of_our_name_grants_nothing if {
	not authz.allow with input as request("GET", "/v1/customers/7", token_of(partner, ["support"]))
}

test_a_partner_reads_orders if {
	authz.allow with input as request("GET", "/v1/orders/42", token_of(partner, ["dispatch"]))
}

# token, and the one problem it has
distrusted := [
	[with_claim(support, "iss", "https://login.elsewhere.example"), "the issuer is not trusted"],
	[with_header(support, "kid", "retired"), "the key is not one of the issuer's keys"],
	[with_header(support, "kid", key_of[partner].kid), "the key is not one of the issuer's keys"],
	[with_header(support, "alg", "HS256"), "the algorithm is not the key's"],
	[with_claim(support, "aud", ["other"]), "the token is for another audience"],
	[with_claim(support, "exp", 1700000100), "the token has expired"],
	[with_claim(support, "nbf", 1700000101), "the token is not valid yet"],
	[with_claim(support, "exp", 1700003601), "the token lives longer than its issuer may grant"],
	[with_claim(support, "exp", "soon"), "exp, iat and the time of the request must be numbers"],
]

test_a_token_with_a_problem_is_denied_for_that_problem if {
	every row in distrusted {
		decision := authz.decision with input as request("GET", "/v1/orders/42", row[0])
		not decision.allow
		row[1] in decision.reasons
	}
}

test_an_audience_among_several_is_enough if {
	token := with_claim(support, "aud", ["other", "api.core-platform.internal"])
	authz.allow with input as request("GET", "/v1/orders/42", token)
}

test_a_key_taken_out_of_the_set_stops_counting if {
	request_now := request("GET", "/v1/orders/42", support)
	not authz.allow with input as request_now with data.keys["corporate-idp"].keys as []
}

test_the_most_generous_role_sets_the_rate if {
	both := token_of(corporate, ["support", "svc-shop"])
	authz.requests_per_minute == 6000 with input as request("GET", "/v1/orders", both)
	authz.requests_per_minute == 60 with input as request("GET", "/v1/orders", token_of(corporate, []))
}

# The data that goes with the policy.

granted contains permission if {
	some role in data.gateway.roles
	some permission in role.permissions
}

test_every_route_is_public_or_needs_a_permission_someone_has if {
	every route in data.gateway.routes {
		open_to_all := object.get(route, "public", false)
		needs_a_role := object.get(route, "permission", "") in granted
		open_to_all != needs_a_role
	}
}

test_every_issuer_has_keys if {
	every issuer in data.gateway.issuers {
		count(data.keys[issuer.key_set].keys) > 0
	}
}
