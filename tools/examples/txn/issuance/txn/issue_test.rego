package txn_test

import data.txn

shop := "spiffe://core-platform.internal/workload/shop"

payer := "spiffe://core-platform.internal/workload/refunds"

bank := "spiffe://core-platform.internal/workload/bank"

actors := {
	"clerk": {
		"type": "role-based-actor",
		"assumed_by": "trusted",
		"identities": ["ana"],
		"workloads": [shop],
		"policies": {
			"refund.request": {"amount_max": 500, "channels": ["web"]},
			"refund.pay": {"amount_max": 500, "channels": ["web"]},
		},
	},
	"payer": {
		"type": "digital-twin-actor",
		"assumed_by": "strictly-trusted",
		"twin_of": "clerk",
		"workloads": [payer],
		"policies": {"refund.pay": {"amount_max": 200, "channels": ["queue"]}},
	},
	"transferrer": {
		"type": "digital-twin-actor",
		"assumed_by": "strictly-trusted",
		"twin_of": "clerk",
		"workloads": [bank],
		"policies": {"refund.pay": {"amount_max": 150, "channels": ["queue"]}},
	},
}

# A asks with ana's token, and wants a grant for B.
first := {
	"client": shop,
	"subject": {"type": "access_token", "claims": {"sub": "ana", "scope": "profile orders"}, "record": null},
	"request": {
		"scope": ["refund.request", "refund.pay"],
		"context": {"channel": "web"},
		"details": {
			"actor": "clerk",
			"order": "o-1",
			"amount": 120,
			"delegate": {"to": payer, "scope": "refund.pay", "not_after": 4000000000},
		},
	},
	"grant": null,
	"txn": "t-1",
	"now": 1790000000,
}

# B redeems it.
second := {
	"client": payer,
	"subject": {"type": "self_signed", "claims": {"iss": payer, "sub": payer, "jti": "1"}, "record": null},
	"request": {
		"scope": ["refund.pay"],
		"context": null,
		"details": {"actor": "payer", "order": "o-1", "amount": 120, "grant": "3q2-7w"},
	},
	"grant": {"id": "3q2-7w", "sub": "ana", "scope": ["refund.pay"], "origin": shop, "chain": [shop], "depth": 1},
	"txn": "t-2",
	"now": 1790000060,
}

issue(question) := answer if {
	answer := txn.issue with input as question
		with data.actors as actors
}

# A question with another value at a path.
changed(question, path, value) := json.patch(question, [{"op": "add", "path": path, "value": value}])

test_a_token_and_a_grant if {
	issue(first) == {
		"allow": true,
		"sub": "ana",
		"scope": ["refund.request", "refund.pay"],
		"covers": [{"scope": "refund.request", "by": "orders"}, {"scope": "refund.pay", "by": "orders"}],
		"tctx": {"actor": "clerk", "order": "o-1", "amount": 120},
		"rctx": {"channel": "web"},
		"lifetime_s": 60,
		"delegate": true,
	}
}

test_a_token_for_the_grant if {
	answer := issue(second)
	answer.allow
	answer.sub == "ana"
	answer.scope == ["refund.pay"]
	answer.tctx == {"actor": "payer", "order": "o-1", "amount": 120}
	answer.rctx == {"channel": "queue"}
}

# B hands it on, and C redeems: for ana still, who is whom the first token was about.
test_a_grant_that_is_passed_on if {
	delegate := {"to": bank, "scope": "refund.pay", "not_after": 4000000000}
	issue(changed(second, "request/details/delegate", delegate)).delegate
	third := object.union(second, {
		"client": bank,
		"request": object.union(second.request, {"details": {"actor": "transferrer", "order": "o-1", "amount": 120, "grant": "x"}}),
		"grant": object.union(second.grant, {"chain": [shop, payer], "depth": 2}),
	})
	answer := issue(third)
	answer.sub == "ana"
	answer.scope == ["refund.pay"]
	answer.tctx.actor == "transferrer"
	not issue(changed(third, "request/details/actor", "payer")).allow
	not issue(changed(third, "request/details/amount", 151)).allow
	not issue(changed(third, "request/details/delegate", delegate)).allow
}

test_refused[note] if {
	some note, [question, path, value, reason] in {
		"workload": [first, "client", "spiffe://core-platform.internal/workload/other", "this workload gets no tokens"],
		"scope": [second, "request/scope", ["refund.request"], "this workload does not get the scope refund.request"],
		"coverage": [first, "subject/claims/scope", "profile", "nothing that the subject has covers the scope refund.pay"],
		"no amount": [first, "request/details/amount", "120", "request_details needs order, and amount"],
		"negative": [first, "request/details/amount", -1, "request_details needs order, and amount"],
		"no actor": [first, "request/details/actor", "manager", "assignment: request_details.actor is no actor"],
		"its actor": [first, "request/details/actor", "payer", "assignment: request_details.actor is no actor"],
		"subject": [first, "subject/claims/sub", "eve", "assignment: eve is not clerk"],
		"twin's subject": [second, "grant/sub", "eve", "assignment: eve is not payer"],
		"own token": [first, "subject/type", "self_signed", "assignment: clerk is assumed by trusted only"],
		"no grant": [second, "grant", null, "assignment: payer is assumed by strictly-trusted only"],
		"origin": [second, "grant/origin", payer, "assignment: payer is assumed by strictly-trusted only"],
		"channel": [first, "request/context/channel", "telephone", "context: clerk may not refund.pay by this channel"],
		"amount": [first, "request/details/amount", 501, "request: clerk may refund.pay up to 500"],
		"twin's amount": [second, "request/details/amount", 201, "request: payer may refund.pay up to 200"],
		"delegate": [first, "request/details/delegate/to", "spiffe://core-platform.internal/*", "this workload may not hand a grant to that one"],
		"hand on": [second, "request/details/delegate", {"to": shop}, "this workload may not hand a grant to that one"],
	}
	answer := issue(changed(question, path, value))
	not answer.allow
	contains(answer.reason, reason)
	object.keys(answer) == {"allow", "reason"}
}

# A policy of the actor that says nothing of a scope.
test_policies if {
	narrower := json.remove(actors, ["clerk/policies/refund.pay"])
	answer := txn.issue with input as first with data.actors as narrower
	not answer.allow
	contains(answer.reason, "policies: clerk may not refund.pay")
}

test_no_actors_no_tokens if {
	answer := txn.issue with input as first
	not answer.allow
}

test_no_details_no_tokens if {
	not issue(changed(first, "request/details", null)).allow
	not issue(changed(first, "request/context", null)).allow
	not issue({}).allow
}

# An identity that may be an actor with its own token alone.
test_itself if {
	alone := {"clerk": object.union(actors.clerk, {"assumed_by": "itself"})}
	not txn.issue.allow with input as first with data.actors as alone
}
