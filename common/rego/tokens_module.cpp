#include "common/rego/tokens_module.hpp"

#include <string>

namespace notp::rego {
namespace {

constexpr std::string_view kWorkerModule = R"rego(package system.notp.tokens

lookup(token) := notp.tokens.lookup(token)

revoked(x) := notp.tokens.revoked(x)

lane := notp.tokens.lane()
)rego";

// Every rule but `lane` is a function, so that data.system.notp.tokens holds the same in both
// engines. Ids are the first 32 hexadecimal digits of SHA-256 (protocol/feed/token_id.hpp).
constexpr std::string_view kOpaModule =
    R"rego(# Made by notp-client: tokens, as the agent's own engine looks them up.
package system.notp.tokens

import rego.v1

lookup(token) := record if {
	is_string(token)
	_is_ours(data.tokens.proof)
	data.tokens.lane.complete
	_answers(data.tokens.lane)
	record := data.tokens.live[_id(token)]
	record.exp * 1000 > _now_ms(data.tokens.lane)
	not _is_marked(record)
}

revoked(x) := false if {
	_is_ours(data.tokens.proof)
	data.tokens.lane.complete
	_answers(data.tokens.lane)
	_is_clear(x)
} else := true

lane := object.union(
	{
		"name": data.tokens.lane.name,
		"mode": data.tokens.lane.mode,
		"revision": data.tokens.lane.revision,
		"state": _state(data.tokens.lane),
	},
	{"age_s": floor(age_ms / 1000) | age_ms := _age_ms(data.tokens.lane)},
) if {
	_is_ours(data.tokens.proof)
} else := {"name": "", "mode": "", "revision": 0, "state": "unknown"}

# Whoever writes data.tokens without it is not the agent.
_is_ours(proof) if crypto.sha256(proof) == "@PROOF@"

# The clock, unless it was set back behind the agent's.
_now_ms(lane) := max([floor(time.now_ns() / 1000000), lane.now_ms])

_age_ms(lane) := max([0, _now_ms(lane) - lane.heard_ms])

_is_stale(lane) if _age_ms(lane) > lane.hard_ms

_is_stale(lane) if not lane.heard_ms

_answers(lane) if lane.serves

_answers(lane) if not _is_stale(lane)

_state(lane) := lane.state if not lane.ages

_state(lane) := "stale" if {
	lane.ages
	_is_stale(lane)
}

_state(lane) := "lagging" if {
	lane.ages
	not _is_stale(lane)
	_age_ms(lane) > lane.live_ms
}

_state(lane) := "live" if {
	lane.ages
	not _is_stale(lane)
	_age_ms(lane) <= lane.live_ms
}

_id(text) := substring(crypto.sha256(text), 0, 32)

_is_clear(x) if {
	is_string(x)
	not data.tokens.deleted[_id(x)]
}

_is_clear(x) if {
	is_object(x)
	not _is_marked(x)
	_has_clear_status(x)
}

_is_marked(claims) if {
	some kind in ["sub", "sid", "jti", "txn"]
	is_string(claims.iss)
	is_string(claims[kind])
	key := _id(concat(":", [kind, crypto.sha256(claims.iss), crypto.sha256(claims[kind])]))
	_is_issued_until(claims, data.tokens.marks[key])
}

_is_issued_until(claims, time_s) if floor(claims.iat) <= time_s

_is_issued_until(claims, _) if not is_number(object.get(claims, "iat", null))

_is_issued_until(claims, _) if claims.iat > 9007199254740992

_has_clear_status(claims) if not _refers(claims)

_has_clear_status(claims) if {
	reference := claims.status.status_list
	is_string(reference.uri)
	list := data.tokens.lists[_id(reference.uri)]
	list.until_s * 1000 > _now_ms(data.tokens.lane)
	is_number(reference.idx)
	floor(reference.idx) == reference.idx
	reference.idx >= 0
	reference.idx < list.size
	not list.set[format_int(reference.idx, 10)]
}

_refers(claims) if _ = claims.status.status_list
)rego";

constexpr std::string_view kProofPlace = "@PROOF@";

// It reads nothing: below data.tokens anybody who reaches OPA's API might write.
constexpr std::string_view kOpaModuleWithoutLane =
    R"rego(# Made by notp-client: this node has no token lane.
package system.notp.tokens

import rego.v1

lookup(token) := token if false

revoked(_) := true

# To OPA's type checker it may have more members, as with a lane.
lane := object.union({"name": "", "mode": "", "revision": 0, "state": "unknown"}, {})
)rego";

constexpr const char* kBuiltins[] = {"notp.tokens.lookup", "notp.tokens.revoked",
                                     "notp.tokens.lane"};

const std::shared_ptr<const Bytes>& worker_content() {
  static const auto kContent = std::make_shared<const Bytes>(kWorkerModule);
  return kContent;
}

const Hash& worker_hash() {
  static const Hash kHash = sha256(kWorkerModule);
  return kHash;
}

ContentLoader with_module(ContentLoader load) {
  return [load = std::move(load)](const Hash& hash) -> Result<std::shared_ptr<const Bytes>> {
    if (hash == worker_hash()) return worker_content();
    if (!load) return fail(ErrorCode::kNotFound, "no content");
    return load(hash);
  };
}

}  // namespace

std::string_view worker_tokens_module() { return kWorkerModule; }

Bytes opa_tokens_module(const Hash& proof) {
  Bytes text(kOpaModule);
  text.replace(text.find(kProofPlace), kProofPlace.size(), proof.hex());
  return text;
}

std::string_view opa_tokens_module_without_lane() { return kOpaModuleWithoutLane; }

void add_tokens_module(CheckRequest& request) {
  request.modules.push_back({.path = std::string(kTokensCheckPath),
                             .hash = worker_hash(),
                             .bytes = kWorkerModule.size(),
                             .is_used = true});
  request.allow.insert(request.allow.end(), std::begin(kBuiltins), std::end(kBuiltins));
  request.load = with_module(std::move(request.load));
}

void add_tokens_module(Snapshot& snapshot) {
  const auto ledger = static_cast<uint16_t>(snapshot.ledgers.size());
  snapshot.ledgers.push_back(
      {.name = "system/notp", .roots = {}, .allow = {std::begin(kBuiltins), std::end(kBuiltins)}});
  snapshot.modules[std::string(kTokensModulePath)] = {.hash = worker_hash(), .ledger = ledger};
  snapshot.load = with_module(std::move(snapshot.load));
}

}  // namespace notp::rego
