// The issuance policy of the suite "txn": 20 rules, most of which look something up.
#pragma once

#include <string_view>

namespace notp::bench {

inline constexpr std::string_view kTxnPolicy = R"(package txn

# 1
issue := {
	"allow": true,
	"sub": subject,
	"scope": input.request.scope,
	"covers": covers,
	"tctx": {"actor": details.actor, "order": details.order, "amount": details.amount},
	"rctx": {"channel": channel, "tenant": workload.tenant},
	"lifetime_s": 60,
	"delegate": may_delegate,
} if {
	count(amiss) == 0
} else := {"allow": false, "reason": concat("; ", amiss)}

# 2
details := input.request.details

# 3
subject := input.subject.claims.sub

# 4
workload := data.txn.workloads[input.client]

# 5
tenant := data.txn.tenants[workload.tenant]

# 6
actor := data.txn.actors[details.actor]

# 7
channel := input.request.context.channel

# 8
covers := [{"scope": scope, "by": data.txn.covered_by[scope]} |
	some scope in input.request.scope
	data.txn.covered_by[scope] in split(object.get(input.subject.claims, "scope", ""), " ")
]

# 9
amiss contains "this workload gets no tokens" if not workload

# 10
amiss contains sprintf("this workload does not get the scope %s", [scope]) if {
	some scope in input.request.scope
	not scope in workload.scope
}

# 11
amiss contains "request_details needs order, and amount: a number above 0" if not is_described

# 12
is_described if {
	is_string(details.order)
	is_number(details.amount)
	details.amount > 0
}

# 13
amiss contains sprintf("nothing that the subject has covers the scope %s", [scope]) if {
	some scope in input.request.scope
	not scope in {entry.scope | some entry in covers}
}

# 14
amiss contains "this actor is not the workload's to play" if not details.actor in workload.actors

# 15
amiss contains "the subject is of another tenant" if not startswith(subject, tenant.people)

# 16
amiss contains "the tenant is closed" if tenant.closed

# 17
amiss contains sprintf("%s may not %s by this channel", [details.actor, scope]) if {
	some scope in input.request.scope
	not channel in actor.policies[scope].channels
}

# 18
amiss contains sprintf("%s may %s up to %d", [details.actor, scope, policy.amount_max]) if {
	some scope in input.request.scope
	policy := actor.policies[scope]
	details.amount > policy.amount_max
}

# 19
amiss contains "the subject has not shown enough of who it is" if {
	not object.get(input.subject.claims, "acr", "0") in actor.acr
}

# 20
may_delegate := details.delegate.to in workload.grants_to if {
	details.delegate
} else := false
)";

inline constexpr std::string_view kTxnManifest = R"({"metadata": {"name": "issuance"},
  "runtimes": {"rego": {"language": {"name": "rego", "version": "1"}}},
  "partitions": {"/": {"runtime": "rego"}}, "roots": ["txn", "keys/login"]})";

}  // namespace notp::bench
