# Who may request and pay a refund. The shop asks before it queues a job, and the payer before it pays one. Neither sees the
# customer's or the clerk's own token: both present a transaction token, and the job that it is for.
package refunds

import data.system.notp.txn

default allow := false

allow if count(reasons) == 0

# With what an application may log of the token, which it never logs itself.
decision := {"allow": allow, "reasons": reasons, "token": token, "transaction": transaction}

# "unknown_key": the service signs with a key that this node does not have yet. To ask again later is worthwhile.
default token := "refused"

token := txn.state(input.txn_token)

default transaction := {}

transaction := {
	"txn": claims.txn,
	"sub": claims.sub,
	"actor": actor,
	"by": claims.req_wl,
	"chain": chain,
	"root": object.get(tctx, "root_txn", claims.txn),
}

# Undefined unless the token is valid here and now.
claims := txn.verify(input.txn_token)

tctx := object.get(claims, "tctx", {})

actor := object.get(tctx, "actor", "")

# The workloads by which it came, the origin first.
chain := object.get(tctx, "chain", [])

default first := ""

first := chain[0]

action := data.refunds.limits.actions[input.action]

reasons contains sprintf("the transaction token does not verify: %s", [token]) if not claims

reasons contains "there is no such action" if not action

reasons contains sprintf("the scope %s is missing", [action.scope]) if {
	claims
	not action.scope in split(claims.scope, " ")
}

reasons contains sprintf("%s is not the workload for it", [claims.req_wl]) if claims.req_wl != action.workload

reasons contains "it came by other workloads" if {
	claims
	chain != action.chain
}

reasons contains "the origin is not the first of the chain" if {
	claims
	object.get(tctx, "origin", "") != first
}

reasons contains sprintf("%s is not the actor for it", [actor]) if {
	claims
	actor != action.actor
}

# The token says what was elevated then. The actor's own policies say what it may do now: a release of them narrows every
# token that is under way.
reasons contains sprintf("%s may not do it any more", [actor]) if {
	claims
	not is_within_policies
}

is_within_policies if data.actors[actor].policies[action.scope].amount_max >= input.job.amount

reasons contains "the token is for another job" if {
	claims
	not is_for_this_job
}

is_for_this_job if {
	tctx.order == input.job.order
	tctx.amount == input.job.amount
}

reasons contains "the job came too late" if not is_in_time

is_in_time if input.job.not_after * 1000000000 > time.now_ns()

# Once at this node. An OPA counts no presentations: there, a token is used once because its grant was.
reasons contains "the token was presented before" if txn.presented(claims) > 0
