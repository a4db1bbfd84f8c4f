package refunds_test

import data.refunds

shop := "spiffe://core-platform.internal/workload/shop"

payer := "spiffe://core-platform.internal/workload/refunds"

bank := "spiffe://core-platform.internal/workload/bank"

first := {
	"aud": "core-platform.internal",
	"txn": "t-1",
	"sub": "ana",
	"scope": "refund.request refund.pay",
	"req_wl": shop,
	"tctx": {"actor": "clerk", "order": "o-1", "amount": 120},
}

second := {
	"aud": "core-platform.internal",
	"txn": "t-2",
	"sub": "ana",
	"scope": "refund.pay",
	"req_wl": payer,
	"tctx": {
		"actor": "payer",
		"order": "o-1",
		"amount": 120,
		"parent_txn": "t-1",
		"root_txn": "t-1",
		"origin": shop,
		"chain": [shop],
	},
}

# A token of these tests is its own claims.
verify(token) := token if is_object(token)

never(_) := 0

once(_) := 1

actors := {
	"clerk": {"policies": {"refund.request": {"amount_max": 500}, "refund.pay": {"amount_max": 500}}},
	"payer": {"policies": {"refund.pay": {"amount_max": 200}}},
	"transferrer": {"policies": {"refund.pay": {"amount_max": 150}}},
}

job := {"id": "j-1", "order": "o-1", "amount": 120, "not_after": 4000000000}

ask(action, token) := {"action": action, "txn_token": token, "job": job}

decide(question) := answer if {
	answer := refunds.decision with input as question
		with data.system.notp.txn.verify as verify
		with data.system.notp.txn.presented as never
		with data.actors as actors
}

test_the_shop_requests if {
	answer := decide(ask("request", first))
	answer.reasons == set()
	answer.allow
}

test_the_payer_pays if {
	answer := decide(ask("pay", second))
	answer.reasons == set()
	answer.allow
	answer.transaction == {"txn": "t-2", "sub": "ana", "actor": "payer", "by": payer, "chain": [shop], "root": "t-1"}
}

test_no_token if {
	answer := decide(ask("pay", "not a token"))
	not answer.allow
	some reason in answer.reasons
	startswith(reason, "the transaction token does not verify")
}

test_a_missing_scope if {
	answer := decide(ask("pay", object.union(second, {"scope": "refund.request"})))
	answer.reasons == {"the scope refund.pay is missing"}
	not answer.allow
}

# Handed on by refunds with a grant of its own: it came by both, and only the bank may transfer.
test_the_bank_transfers if {
	third := object.union(second, {"txn": "t-3", "req_wl": bank, "tctx": object.union(second.tctx, {
		"actor": "transferrer",
		"parent_txn": "t-2",
		"chain": [shop, payer],
	})})
	answer := decide(ask("transfer", third))
	answer.reasons == set()
	answer.allow
	answer.transaction.root == "t-1"
	decide(ask("hand_on", second)).allow
	not decide(ask("transfer", second)).allow
	not decide(ask("pay", third)).allow
	decide(ask("transfer", object.union(third, {"tctx": object.union(third.tctx, {"chain": [shop]})}))).reasons ==
		{"it came by other workloads"}
}

# What came without a grant cannot pay, and what came with one cannot request.
test_the_chain_is_exact if {
	not decide(ask("pay", first)).allow
	not decide(ask("request", second)).allow
	longer := object.union(second, {"tctx": object.union(second.tctx, {"chain": [shop, payer]})})
	decide(ask("pay", longer)).reasons == {"it came by other workloads"}
}

test_another_origin if {
	other := object.union(second, {"tctx": object.union(second.tctx, {"origin": payer})})
	decide(ask("pay", other)).reasons == {"the origin is not the first of the chain"}
}

test_another_workload if {
	answer := decide(ask("pay", object.union(second, {"req_wl": shop})))
	answer.reasons == {sprintf("%s is not the workload for it", [shop])}
}

test_another_job[note] if {
	some note, change in {"amount": {"amount": 121}, "order": {"order": "o-2"}}
	question := object.union(ask("pay", second), {"job": object.union(job, change)})
	decide(question).reasons == {"the token is for another job"}
}

test_too_late if {
	question := object.union(ask("pay", second), {"job": object.union(job, {"not_after": 1})})
	decide(question).reasons == {"the job came too late"}
}

test_presented_twice if {
	answer := refunds.decision with input as ask("request", first)
		with data.system.notp.txn.verify as verify
		with data.system.notp.txn.presented as once
		with data.actors as actors
	answer.reasons == {"the token was presented before"}
}

# A release of the actors' ledger narrows tokens that were issued before.
test_an_actor_that_was_narrowed if {
	answer := refunds.decision with input as ask("pay", second)
		with data.system.notp.txn.verify as verify
		with data.actors as {"payer": {"policies": {"refund.pay": {"amount_max": 100}}}}
	answer.reasons == {"payer may not do it any more"}
	not answer.allow
}

test_without_keys_nobody_gets_in if {
	not refunds.allow with input as ask("pay", second)
}
