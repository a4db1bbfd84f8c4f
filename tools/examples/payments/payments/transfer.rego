# The payment service asks data.payments.transfer.decision before it sends a transfer.
#
# An undefined answer is a denial, and so is everything that the data does not know: a role without
# a limit, a country without a corridor, an approval with a key that is not in the key set.
package payments.transfer

import rego.v1

import data.payments.accounts
import data.payments.approvals
import data.payments.corridors
import data.payments.limits

decision := {
	"allow": allow,
	"approvals_needed": approvals_needed,
	"approvals_counted": count(approvals.approvers),
	"reasons": reasons,
}

default allow := false

allow if count(reasons) == 0

reasons contains "the amount is not a whole number of cents above zero" if not amount

reasons contains "the amount is above the sender's limit" if not within_limit(input.sender.role)

reasons contains sprintf("%s is frozen: %s", [account, reason]) if {
	some account in [input.transfer.from, input.transfer.to]
	reason := accounts.frozen[account]
}

reasons contains "no corridor for the receiver's country" if not corridor

reasons contains sprintf("%d approval(s) of another person needed, %d given", [
	approvals_needed,
	count(approvals.approvers),
]) if {
	count(approvals.approvers) < approvals_needed
}

# A node that has heard nothing for too long may be missing an account that was frozen since.
reasons contains "this node's model has expired" if {
	data.system.notp.ledgers.payments.state == "expired"
}

amount := input.transfer.amount_cents if {
	is_number(input.transfer.amount_cents)
	input.transfer.amount_cents > 0
	floor(input.transfer.amount_cents) == input.transfer.amount_cents
}

corridor := corridors[upper(substring(input.transfer.to, 0, 2))]

within_limit(role) if amount <= limits.roles[role]

# Unknown amounts and corridors are denied above; here they count as the strict case.
default approvals_needed := 1

approvals_needed := 0 if {
	amount <= limits.single_approval_max
	not corridor.second_approval
}
