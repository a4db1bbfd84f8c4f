# Counts the people, other than the sender, who have approved exactly this transfer.
#
# The payment service has checked each approval's signature against the key that it names. Whether
# that key counts is decided here, by the key set that travels with the policy.
package payments.approvals

import rego.v1

import data.payments.limits

# A set of people: approving twice counts once.
approvers contains approval.approver if {
	some approval in input.approvals
	approval.approver != input.sender.id
	approval.transfer_id == input.transfer.id
	approval.amount_cents == input.transfer.amount_cents
	approval.amount_cents <= limits.roles[approval.role]
	some key in data.keys["approval-service"].keys
	key.kid == approval.kid
}
