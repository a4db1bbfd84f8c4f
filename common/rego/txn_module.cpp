#include "common/rego/txn_module.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "common/limits.hpp"

namespace notp::rego {
namespace {

// The order matters: what costs little refuses first, and a key that the set lacks meets io.jwt
// with the whole set, so that the engine notes it as an unknown key.
// io.jwt looks neither at typ nor at an alg beside the key's, takes nested tokens, and of two
// members with one name the last.
constexpr std::string_view kStart = R"rego(# Made by notp-client: transaction tokens.
package system.notp.txn

import rego.v1

)rego";

constexpr std::string_view kWorkerVerify = R"rego(verify(token) := claims if {
	claims := notp.txn.recall(token)
@LANE@} else := claims if {
	claims := _verified(token)
	notp.txn.keep(token, claims)
@LANE@}

presented(claims) := notp.txn.presented(claims)

# What the worker needs to know to verify most tokens without the rules below.
_rules := {"keys": @KEYS@, "audience": @AUDIENCE@, "lane": @HAS_LANE@}
)rego";

constexpr std::string_view kOpaVerify = R"rego(verify(token) := claims if {
	claims := _verified(token)
@LANE@}

presented(claims) := claims if false

# What two readers of JSON and base64url could take for two different tokens.
_is_plain(parts, header, claims) if {
	every part in parts {
		base64url.encode_no_pad(base64url.decode(part)) == part
	}
	_is_plain_json(base64url.decode(parts[0]), header)
	_is_plain_json(base64url.decode(parts[1]), claims)
}

# As many names in the text as in the value: none is there twice.
_is_plain_json(text, value) if {
	indexof(text, "\uFFFD") == -1
	not contains(json.marshal(value), "\uFFFD")
	lexemes := regex.find_n(`"(?:[^"\\]|\\.)*"(?:[ \t\r\n]*:)?|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?`, text, -1)
	nodes := [[path, inner] | walk(value, [path, inner])]
	count([1 | some [path, _] in nodes; is_string(path[count(path) - 1])]) == count([1 | some each in lexemes; endswith(each, ":")])
	every node in nodes {
		not _is_too_deep(node)
	}
	every each in lexemes {
		_is_plain_number(each)
	}
}

_is_too_deep([path, inner]) if {
	count(path) >= 16
	is_object(inner)
}

_is_too_deep([path, inner]) if {
	count(path) >= 16
	is_array(inner)
}

_is_plain_number(lexeme) if startswith(lexeme, "\"")

_is_plain_number(lexeme) if {
	regex.match(`^-?[0-9]{1,20}$`, lexeme)
	number := to_number(lexeme)
	number >= -9223372036854775808
	number <= 18446744073709551615
}

_is_plain_number(lexeme) if {
	regex.match(`^-?[0-9.]+(?:[eE][-+]?[0-9]{1,@EXPONENT@})?$`, lexeme)
	not regex.match(`^-?[0-9]+$`, lexeme)
	abs(to_number(lexeme)) <= 1.7976931348623157e308
}
)rego";

constexpr std::string_view kRest = R"rego(
default state(_) := "refused"

state(token) := "verified" if {
	verify(token)
} else := "unknown_key" if {
	header := _header(token)
	set := data.keys[@KEYS@]
	not _key(set, header.kid)
}

keys := object.union(
	{"name": @KEYS@, "ledger": name, "version": ledger.version, "state": ledger.state},
	{"age_s": age_s | age_s := ledger.age_s},
) if {
	[[name, ledger]] := [[name, ledger] |
		some name, ledger in data.system.notp.ledgers
		some root in ledger.roots
		startswith(@PATH@, concat("", [trim_suffix(root, "/"), "/"]))
	]
} else := {"name": @KEYS@, "ledger": "", "version": 0, "state": "unknown"}

_verified(token) := claims if {
	header := _header(token)
	set := data.keys[@KEYS@]
	[valid, _, claims] := io.jwt.decode_verify(token, {"cert": json.marshal(set), "aud": @AUDIENCE@})
	valid
	key := _key(set, header.kid)
	object.subset(key, _algorithms[header.alg])
	object.get(key, "alg", header.alg) == header.alg
	object.get(key, "use", "sig") == "sig"
	"verify" in object.get(key, "key_ops", ["verify"])
	count({"crit", "b64", "enc", "zip", "cty"} & object.keys(header)) == 0
	claims.aud == @AUDIENCE@
	is_number(claims.iat)
	is_number(claims.exp)
	is_string(claims.txn)
	is_string(claims.sub)
	is_string(claims.scope)
	is_string(claims.req_wl)
	is_string(object.get(claims, "iss", "-"))
	not "" in [claims.txn, claims.sub, claims.scope, claims.req_wl, object.get(claims, "iss", "-")]
	is_string(object.get(claims, "jti", ""))
	is_object(object.get(claims, "tctx", {}))
	is_object(object.get(claims, "rctx", {}))
	claims.iat >= 0
	claims.iat <= (time.now_ns() / 1000000000) + @AHEAD@
	claims.exp - claims.iat <= @LIFE@
	claims.exp <= @LATEST@
	object.get(claims, "nbf", 0) >= 0
	@PLAIN@
}

_header(token) := header if {
	is_string(token)
	count(token) <= @BYTES@
	[head, _, _] := split(token, ".")
	header := json.unmarshal(base64url.decode(head))
	header.typ == "txntoken+jwt"
	_algorithms[header.alg]
	is_string(header.kid)
	header.kid != ""
}

_algorithms := {
	"ES256": {"kty": "EC", "crv": "P-256"},
	"ES384": {"kty": "EC", "crv": "P-384"},
	"ES512": {"kty": "EC", "crv": "P-521"},
	"EdDSA": {"kty": "OKP", "crv": "Ed25519"},
}

_key(set, kid) := key if [key] := [each | some each in set.keys; each.kid == kid]
)rego";

// It reads nothing.
constexpr std::string_view kWithoutRules =
    R"rego(# Made by notp-client: this node verifies no transaction tokens.
package system.notp.txn

import rego.v1

verify(token) := token if false

presented(claims) := claims if false

# To OPA's type checker they may be more than this, as they are elsewhere.
state(_) := lower("OFF")

keys := object.union({"name": "", "ledger": "", "version": 0, "state": "unknown"}, {})
)rego";

constexpr const char* kBuiltins[] = {"notp.txn.recall", "notp.txn.keep", "notp.txn.plain",
                                     "notp.txn.presented"};

void replace_all(Bytes& text, std::string_view place, std::string_view by) {
  for (size_t at = text.find(place); at != Bytes::npos; at = text.find(place, at + by.size()))
    text.replace(at, place.size(), by);
}

Bytes module_of(std::string_view verify, std::string_view plain, const TxnRules& rules) {
  Bytes text = fmt::format("{}{}{}", kStart, verify, kRest);
  replace_all(text, "@LANE@",
              rules.has_lane ? "\tdata.system.notp.tokens.revoked(claims) == false\n" : "");
  replace_all(text, "@HAS_LANE@", rules.has_lane ? "true" : "false");
  replace_all(text, "@PLAIN@", plain);
  replace_all(text, "@PATH@", json_string(fmt::format("keys/{}/", rules.keys)));
  replace_all(text, "@BYTES@", fmt::to_string(kTxnTokenBytesMax));
  replace_all(text, "@LIFE@", fmt::to_string(kTxnLifeS));
  replace_all(text, "@AHEAD@", fmt::to_string(kTxnAheadS));
  replace_all(text, "@EXPONENT@", fmt::to_string(kTxnExponentDigitsMax));
  replace_all(text, "@LATEST@", fmt::to_string(limits::kTimestampMsMax / 1000));
  replace_all(text, "@KEYS@", json_string(rules.keys));
  replace_all(text, "@AUDIENCE@", json_string(rules.audience));  // the last: it may look like one
  return text;
}

ContentLoader with_content(ContentLoader load, Hash hash, std::shared_ptr<const Bytes> content) {
  return [load = std::move(load), hash, content = std::move(content)](
             const Hash& wanted) -> Result<std::shared_ptr<const Bytes>> {
    if (wanted == hash) return content;
    if (!load) return fail(ErrorCode::kNotFound, "no content");
    return load(wanted);
  };
}

}  // namespace

Bytes worker_txn_module(const TxnRules& rules) {
  return module_of(kWorkerVerify, "notp.txn.plain(token)", rules);
}
Bytes opa_txn_module(const TxnRules& rules) {
  return module_of(kOpaVerify, "_is_plain(split(token, \".\"), header, claims)", rules);
}
std::string_view txn_module_without_rules() { return kWithoutRules; }

void add_txn_module(CheckRequest& request) {
  const Hash hash = sha256(kWithoutRules);
  request.modules.push_back({.path = std::string(kTxnCheckPath),
                             .hash = hash,
                             .bytes = kWithoutRules.size(),
                             .is_used = true});
  request.load =
      with_content(std::move(request.load), hash, std::make_shared<const Bytes>(kWithoutRules));
}

void add_txn_module(Snapshot& snapshot, const TxnRules* rules) {
  auto content =
      std::make_shared<const Bytes>(rules ? worker_txn_module(*rules) : Bytes(kWithoutRules));
  const Hash hash = sha256(*content);
  const auto ledger = static_cast<uint16_t>(snapshot.ledgers.size());
  snapshot.ledgers.push_back({.name = "system/notp/txn",
                              .roots = {},
                              .allow = {std::begin(kBuiltins), std::end(kBuiltins)}});
  snapshot.modules[std::string(kTxnModulePath)] = {.hash = hash, .ledger = ledger};
  snapshot.load = with_content(std::move(snapshot.load), hash, std::move(content));
}

}  // namespace notp::rego
