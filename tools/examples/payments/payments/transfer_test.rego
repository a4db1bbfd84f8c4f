package payments.transfer_test

import rego.v1

import data.payments.transfer

# The tests bring limits of their own: a release that changes a limit is a decision about the
# business, and is not to be held up by a test about the rules.
limits := {"single_approval_max": 100000, "roles": {"clerk": 500000, "treasurer": 25000000}}

kid := data.keys["approval-service"].keys[0].kid

transfer_of(amount_cents) := {
	"sender": {"id": "ana", "role": "clerk"},
	"transfer": {
		"id": "t-1",
		"amount_cents": amount_cents,
		"from": "DE89370400440532013000",
		"to": "NL91ABNA0417164300",
	},
	"approvals": [],
}

to_account(request, account) := object.union(request, {"transfer": {"to": account}})

approval_of(approver, amount_cents) := {
	"approver": approver,
	"role": "treasurer",
	"transfer_id": "t-1",
	"amount_cents": amount_cents,
	"kid": kid,
}

approved(request, approvals) := object.union(request, {"approvals": approvals})

test_a_small_transfer_needs_nobody_else if {
	transfer.allow with input as transfer_of(100000) with data.payments.limits as limits
}

test_one_cent_more_needs_four_eyes if {
	decision := transfer.decision with input as transfer_of(100001) with data.payments.limits as limits
	not decision.allow
	decision.approvals_needed == 1
}

test_a_second_person_is_enough if {
	request := approved(transfer_of(100001), [approval_of("ben", 100001)])
	transfer.allow with input as request with data.payments.limits as limits
}

# approvals that do not count for ana's transfer of 1,000.01
worthless := [
	approval_of("ana", 100001),
	approval_of("ben", 100000),
	object.union(approval_of("ben", 100001), {"transfer_id": "t-2"}),
	object.union(approval_of("ben", 100001), {"role": "intern"}),
	object.union(approval_of("ben", 100001), {"kid": "retired"}),
]

test_an_approval_that_is_not_another_persons_for_this_transfer_does_not_count if {
	every approval in worthless {
		request := approved(transfer_of(100001), [approval])
		not transfer.allow with input as request with data.payments.limits as limits
	}
}

test_approving_twice_counts_once if {
	request := approved(transfer_of(100001), [approval_of("ben", 100001), approval_of("ben", 100001)])
	transfer.decision.approvals_counted == 1 with input as request with data.payments.limits as limits
}

test_above_the_senders_limit_no_approval_helps if {
	request := approved(transfer_of(500001), [approval_of("ben", 500001)])
	reasons := transfer.reasons with input as request with data.payments.limits as limits
	reasons == {"the amount is above the sender's limit"}
}

test_an_unknown_role_sends_nothing if {
	request := object.union(transfer_of(1), {"sender": {"role": "visitor"}})
	not transfer.allow with input as request with data.payments.limits as limits
}

test_a_frozen_account_neither_sends_nor_receives if {
	frozen := {"NL91ABNA0417164300": "a reason"}
	decision := transfer.decision with input as transfer_of(1) with data.payments.accounts.frozen as frozen
	not decision.allow
	decision.reasons == {"NL91ABNA0417164300 is frozen: a reason"}
	not transfer.allow with input as transfer_of(1)
		with data.payments.accounts.frozen as {"DE89370400440532013000": "a reason"}
}

test_no_corridor_no_transfer if {
	reasons := transfer.reasons with input as to_account(transfer_of(1), "XX00") with data.payments.limits as limits
	"no corridor for the receiver's country" in reasons
}

test_some_corridors_always_need_four_eyes if {
	request := to_account(transfer_of(1), "CH9300762011623852957")
	not transfer.allow with input as request with data.payments.limits as limits
	transfer.allow with input as approved(request, [approval_of("ben", 1)]) with data.payments.limits as limits
}

test_amounts_that_are_none_are_denied if {
	every amount in [0, -1, 0.5, "100", null] {
		not transfer.allow with input as transfer_of(amount) with data.payments.limits as limits
	}
}

test_an_expired_model_sends_nothing if {
	not transfer.allow with input as transfer_of(1)
		with data.system.notp as {"ledgers": {"payments": {"state": "expired"}}}
	transfer.allow with input as transfer_of(1)
		with data.payments.limits as limits
		with data.system.notp as {"ledgers": {"payments": {"state": "stale"}}}
}

# The data that goes with the policy.

test_one_person_never_sends_more_alone_than_with_approval if {
	every limit in data.payments.limits.roles {
		data.payments.limits.single_approval_max <= limit
	}
}
