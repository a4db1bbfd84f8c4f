# Finds the one route that a request means. A "*" stands for exactly one non-empty segment.
package gateway.routing

import rego.v1

# null, unless exactly one route matches: two matching routes could ask for different permissions,
# and choosing between them silently is how a route gets the wrong one.
default name := null

name := only if {
	count(matching) == 1
	some only in matching
}

route := data.gateway.routes[name]

matching contains candidate if {
	some candidate, row in data.gateway.routes
	input.request.method in row.methods
	pattern := split(row.path, "/")
	count(pattern) == count(segments)
	every i, part in pattern {
		stands_for(part, segments[i])
	}
}

segments := split(input.request.path, "/")

stands_for("*", segment) if segment != ""

stands_for(part, segment) if part == segment
