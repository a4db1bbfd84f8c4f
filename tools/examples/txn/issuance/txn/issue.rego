# Which transaction token a workload gets. The service asks for `issue`, and keeps the invariants itself: no scope that was
# not requested or that nothing covers, no other subject than the grant's, five minutes of life at most.
#
# A token is issued for an actor (data.actors, a ledger of its own): what the subject may do here, by which workloads, and
# how. Trust elevation is four checks: assignment, policies, context, request. A token is issued when nothing is amiss.
package txn

issue := {
	"allow": true,
	"sub": subject,
	"scope": input.request.scope,
	"covers": covers,
	"tctx": {"actor": name, "order": details.order, "amount": details.amount},
	"rctx": {"channel": channel},
	"lifetime_s": 60,
	"delegate": may_delegate,
} if {
	count(amiss) == 0
} else := {"allow": false, "reason": concat("; ", amiss)}

# --- what is asked for

details := input.request.details

# Who the token is about never changes: with a grant it is the subject of the token that made it.
subject := input.grant.sub if {
	is_redeemed
} else := input.subject.claims.sub

# For the subject itself, or for a grant that its token has made.
default is_redeemed := false

is_redeemed if input.grant.id

workload := data.txn.workloads[input.client]

name := details.actor

actor := data.actors[name]

# What happens behind the wall of a grant has no channel: nobody waits for it.
channel := "queue" if {
	is_redeemed
} else := input.request.context.channel

covers := [{"scope": scope, "by": data.txn.covered_by[scope]} |
	some scope in input.request.scope
	data.txn.covered_by[scope] in split(object.get(input.subject.claims, "scope", ""), " ")
]

amiss contains "this workload gets no tokens" if not workload

amiss contains sprintf("this workload does not get the scope %s", [scope]) if {
	some scope in input.request.scope
	not scope in workload.scope
}

amiss contains "request_details needs order, and amount: a number above 0" if not is_described

is_described if {
	is_string(details.order)
	is_number(details.amount)
	details.amount > 0
}

# A subject token without the scope that a transaction needs.
amiss contains sprintf("nothing that the subject has covers the scope %s", [scope]) if {
	not is_redeemed
	some scope in input.request.scope
	not scope in {entry.scope | some entry in covers}
}

# --- 1. assignment: the actor is the workload's to play, and the subject's to be

amiss contains "assignment: request_details.actor is no actor of this workload" if not is_played_here

is_played_here if {
	actor
	name in workload.actors
	input.client in actor.workloads
}

amiss contains sprintf("assignment: %s is not %s", [subject, name]) if {
	is_played_here
	not subject in identities
}

# A digital twin has the identities of the actor that it is the twin of.
identities := data.actors[actor.twin_of].identities if {
	actor.type == "digital-twin-actor"
} else := actor.identities

amiss contains sprintf("assignment: %s is assumed by %s only", [name, actor.assumed_by]) if {
	is_played_here
	not is_assumed_rightly
}

# By the identity with its own token, by a workload that has a token of it, or by one that was handed a grant.
is_assumed_rightly if {
	actor.assumed_by == "itself"
	input.subject.type == "self_signed"
	not is_redeemed
}

is_assumed_rightly if {
	actor.assumed_by == "trusted"
	input.subject.type in {"access_token", "jwt"}
}

is_assumed_rightly if {
	actor.assumed_by == "strictly-trusted"
	is_redeemed
	input.grant.origin in data.actors[actor.twin_of].workloads
}

# --- 2. policies: what the actor may do at all

amiss contains sprintf("policies: %s may not %s", [name, scope]) if {
	is_played_here
	some scope in input.request.scope
	not actor.policies[scope]
}

# --- 3. context: from where

amiss contains sprintf("context: %s may not %s by this channel", [name, scope]) if {
	is_played_here
	some scope in input.request.scope
	policy := actor.policies[scope]
	not channel in policy.channels
}

# --- 4. request: this one

amiss contains sprintf("request: %s may %s up to %d", [name, scope, policy.amount_max]) if {
	is_played_here
	is_described
	some scope in input.request.scope
	policy := actor.policies[scope]
	details.amount > policy.amount_max
}

# --- delegation

# What a workload may hand on is the code's to bound: scope, time and depth never grow.
default may_delegate := false

may_delegate if details.delegate.to in object.get(workload, "grants_to", [])

amiss contains "this workload may not hand a grant to that one" if {
	details.delegate
	not may_delegate
}
