# The gateway asks data.gateway.authz.decision for every request and obeys it.
#
# An undefined answer is a denial: the gateway treats "no result" as allow = false. Whatever is not
# known here (no route, an unknown issuer, a role without the permission) therefore denies.
package gateway.authz

import rego.v1

import data.gateway.rates
import data.gateway.routing
import data.gateway.token

decision := {
	"allow": allow,
	"route": routing.name,
	"requests_per_minute": requests_per_minute,
	"reasons": reasons,
}

default allow := false

allow if count(reasons) == 0

# Why the request is denied. Every rule adds the one thing it knows; the log shows them all.
reasons contains "no route, or more than one, matches the request" if routing.name == null

reasons contains problem if {
	not public
	some problem in token.problems
}

reasons contains sprintf("none of the caller's roles grants %s", [routing.route.permission]) if {
	not public
	not routing.route.permission in permissions
}

default public := false

public := routing.route.public

# A group makes a role only together with the issuer that vouches for the group.
roles contains name if {
	some name, role in data.gateway.roles
	role.issuer == input.token.claims.iss
	role.group in input.token.claims.groups
}

permissions contains permission if {
	some name in roles
	some permission in data.gateway.roles[name].permissions
}

# The most generous of the caller's roles counts.
requests_per_minute := max({rates["default"]} | {rates.roles[name] | some name in roles})
