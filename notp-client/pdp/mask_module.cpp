#include "notp-client/pdp/mask_module.hpp"

#include <fmt/format.h>

#include "common/json/json.hpp"
#include "notp-client/pdp/data_path.hpp"

namespace notp::pdp {
namespace {

// Names that begin with an underscore are not part of the answer that OPA asks for.
constexpr std::string_view kFixedPart = R"rego(
mask := array.concat(_ours, _theirs) if not _failure

mask := _withheld if _failure

# --- the event
_parts[name] := input[name] if some name in ["input", "result", "nd_builtin_cache"]

_path := [name | some name in split(object.get(input, "path", ""), "/"); name != ""]

# A path with an escape can mean any other.
_concerns(_) if contains(object.get(input, "path", ""), "%")

# The ledger that owns the path; else those below it, because a result has their values; else all,
# because who asks a wrong path may send the same input.
_concerns(roots) if _owns(roots)

_concerns(roots) if {
	not _is_owned
	_has(roots)
}

_concerns(_) if {
	not _is_owned
	not _has_any
}

_owns(roots) if {
	some root in roots
	array.slice(_path, 0, count(root)) == root
}

_has(roots) if {
	some root in roots
	array.slice(root, 0, count(_path)) == _path
}

_is_owned if {
	some roots in _roots
	_owns(roots)
}

_has_any if {
	some roots in _roots
	_has(roots)
}

# --- what every record leaves out: credentials, and the signatures of tokens
_credentials := {"authorization", "proxy-authorization", "cookie", "set-cookie", "txn-token"}

_is_credential(name) if replace(lower(name), "_", "-") in _credentials

_unsigned(text) := regex.replace(text, `(eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.)[A-Za-z0-9_-]+`, "$1")

_cleaned(name, value) := "" if {
	_is_credential(name)
	is_string(value)
}

else := ["" | some _ in value] if {
	_is_credential(name)
	is_array(value)
	every each in value {
		is_string(each)
	}
}

else := _unsigned(value) if {
	is_string(value)
	contains(value, "eyJ")
}

# Pairs of a path below the value, and what is to be there instead. To walk a value of some megabytes
# takes seconds, to search its text milliseconds.
_stains(value) := {[path, clean] |
	walk(value, [path, found])
	count(path) > 0
	clean := _cleaned(path[count(path) - 1], found)
	clean != found
} if {
	text := lower(json.marshal(value))
	some word in ["eyj", "authorization", "cookie", "txn-token", "txn_token"]
	contains(text, word)
}

else := set()

_always contains [[sprintf("%v", [name]) | some name in path], clean] if {
	some [path, clean] in _stains(_parts)
}

# The arguments of a call, which are the name of its result.
_clean_arguments(function, text) := json.marshal(json.patch(arguments, [change |
	some [path, clean] in stains
	change := {"op": "replace", "path": [sprintf("%v", [name]) | some name in path], "value": clean}
])) if {
	arguments := json.unmarshal(text)
	keys := _keys(function, arguments)
	stains := {stain |
		some stain in _stains(arguments)
		not _is_in(stain[0], keys)
	} | keys
	count(stains) > 0
}

else := text

_is_in(path, keys) if {
	some [place, _] in keys
	array.slice(path, 0, count(place)) == place
}

# Keys among the arguments, which the embedded engine leaves out alike.
_keys(function, arguments) := {[[2], ""]} if function in {"io.jwt.encode_sign", "io.jwt.encode_sign_raw"}

else := _verification_keys(arguments) if function == "io.jwt.decode_verify"

else := {[[0, "tls_client_key"], ""] | arguments[0].tls_client_key} if function == "http.send"

else := set()

_verification_keys(arguments) := {[[1, name], ""] |
	some name in ["secret", "cert", "key"]
	value := arguments[1][name]
	not _is_public(name, value)
}

_is_public(name, text) if {
	name != "secret"
	regex.match(`^\s*-----BEGIN (CERTIFICATE|PUBLIC KEY)-----[^-]+-----END (CERTIFICATE|PUBLIC KEY)-----\s*$`, text)
}

_is_public(name, text) if {
	name != "secret"
	set_or_key := json.unmarshal(text)
	every key in array.concat([set_or_key], object.get(set_or_key, "keys", [])) {
		count(object.keys(key) & {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"}) == 0
	}
}

# Calls that differ in what is left out, and in nothing else, are one. When their results differ,
# nothing tells which one is meant.
_clean_calls(function, calls) := _clear([[_clean_arguments(function, text), result] |
	some text, result in calls
]) if is_object(calls)

else := calls

_clear(pairs) := {name: result | some [name, result] in pairs} if {
	count({name | some [name, _] in pairs}) == count(pairs)
}

else := {name: result |
	some [name, result] in pairs
	count({pair[1] | some pair in pairs; pair[0] == name}) == 1
}

_clean_cache(cache) := {function: clean |
	some function, calls in cache
	clean := _clean_calls(function, calls)
	clean != {}
}

_is_cache_unclean if {
	cache := object.get(input, "nd_builtin_cache", {})
	_clean_cache(cache) != cache
}

# --- the rules of the manifests; a place is an array of names
_hidden := ({place | some place in _erased} | {place | some [place, _] in _replaced}) |
	{place | some [place, _] in _always}

_text(value) := text if {
	text := json.marshal(value)
	# Escapes that the text of a record does not have: no commitment to them can be opened.
	not regex.match(`\\u(003c|003e|0026|2028|2029)`, text)
}

_commitments := [{"pointer": pointer, "salt": salt, "hmac": crypto.hmac.sha256(_text(value), salt)} |
	some [place, value] in _committed
	pointer := _pointer(place)
	salt := substring(crypto.sha256(uuid.rfc4122(pointer)), 0, 16)
]

_is_committed(place) if {
	some [other, value] in _committed
	other == place
	_text(value)
}

_replaced contains [place, null] if {
	some [place, value] in _committed
	_text(value)
}

_erased contains place if {
	some [place, value] in _committed
	not _text(value)
}

# What lies below a place that is replaced is gone with it.
_patches := array.concat(
	[{"op": "replace", "path": place, "value": value} |
		some [place, value] in _replaced
		not _is_below_replaced(place)
	],
	[{"op": "replace", "path": place, "value": value} |
		some [place, value] in _always
		not _is_replaced(place)
		not _is_below_replaced(place)
	],
)

_is_replaced(place) if {
	some [other, _] in _replaced
	other == place
}

_is_below_replaced(place) if {
	some [other, _] in _replaced
	count(other) < count(place)
	array.slice(place, 0, count(other)) == other
}

_masked := json.remove(json.patch(_parts, _patches), _erased)

_changes := [change |
	some name in ["input", "result"]
	_is_changed(name)
	change := _change(name)
]

_is_changed(name) if {
	some place in _hidden
	place[0] == name
}

_change(name) := {"op": "upsert", "path": concat("", ["/", name]), "value": _masked[name]}

_change(name) := {"op": "remove", "path": concat("", ["/", name])} if not name in object.keys(_masked)

default _ours := []

_ours := array.concat(_changes, [_marked(_masked_cache, {
	"upserts": count([1 | some change in _changes; change.op == "upsert"]) + 1,
	"removes": count([1 | some change in _changes; change.op == "remove"]),
	"erased": [_pointer(place) | some place in _erased],
	"masked": [pointer | some pointer in {_pointer(patch.path) |
		some patch in _patches
		not _is_committed(patch.path)
	}],
	"commitments": _commitments,
})]) if {
	_has_work
	not _dropped
}

_has_work if count(_hidden) > 0

_has_work if _is_cache_unclean

_ours := _withheld if _dropped

_masked_cache := _clean_cache(object.get(_masked, "nd_builtin_cache", {}))

_pointer(place) := concat("", [text |
	some name in _shown(place)
	text := concat("", ["/", replace(replace(name, "~", "~0"), "/", "~1")])
])

# A call's arguments are a name in the path of its result.
_shown(place) := array.concat(
	[place[0], place[1], _clean_arguments(place[1], place[2])],
	array.slice(place, 3, count(place)),
) if {
	place[0] == "nd_builtin_cache"
	count(place) > 2
}

else := place

# --- what the agent reads
_marked(cache, mark) := {
	"op": "upsert",
	"path": "/nd_builtin_cache",
	"value": object.union(cache, {"notp.log": object.union(mark, {"outcome": _outcome})}),
}

_withheld := array.concat(_removals, [_marked({}, object.union(
	{"upserts": 1, "removes": count(_removals)},
	_reason,
))])

_removals := [{"op": "remove", "path": concat("", ["/", name])} |
	some name in ["input", "result"]
	name in object.keys(_parts)
]

_reason := {"failure": text} if text := _failure

else := {"dropped": true}

_outcome := "error" if "error" in object.keys(input)

else := "undefined" if not "result" in object.keys(input)

else := word if word := _verdict(input.result)

else := word if {
	verdicts := [verdict |
		some name in ["allow", "allowed", "decision"]
		verdict := input.result[name]
		is_boolean(verdict)
	]
	word := _verdict(verdicts[0])
}

else := "other"

_verdict(value) := "allow" if value == true

_verdict(value) := "deny" if value == false

# --- the rules of the model
_dropped if data.system.log.drop == true

_failure := "data.system.log.mask is neither a set nor an array" if {
	rules := data.system.log.mask
	not is_set(rules)
	not is_array(rules)
}

else := "data.system.log.mask has a rule that OPA refuses" if {
	some rule in data.system.log.mask
	not _is_valid(rule)
}

else := "the masks of the manifests cannot be applied" if {
	count(_hidden) > 0
	not _masked
}

_is_valid(rule) if _is_path(rule)

_is_valid(rule) if {
	rule.op in {"remove", "upsert"}
	_is_path(rule.path)
}

_is_path(path) if {
	is_string(path)
	regex.match(`^/(input|result|nd_builtin_cache)(/([^%]|%[0-9A-Fa-f]{2})*)?$`, path)
}

default _theirs := []

_theirs := [rule |
	some given in data.system.log.mask
	some rule in _kept(given)
] if not _dropped

_kept(rule) := [rule] if is_string(rule)

_kept(rule) := [rule] if rule.op == "remove"

# What the model puts in a place must not bring back what is hidden there.
_kept(rule) := [{"op": "upsert", "path": rule.path, "value": clean} | not _is_hidden(names)] if {
	rule.op == "upsert"
	names := split(trim_prefix(rule.path, "/"), "/")
	inside := {array.concat(["value"], array.slice(place, count(names), count(place))) |
		some place in _hidden
		count(place) > count(names)
		array.slice(place, 0, count(names)) == names
	}
	clean := json.remove({"value": object.get(rule, "value", null)}, inside).value
}

_is_hidden(names) if {
	some place in _hidden
	array.slice(names, 0, count(place)) == place
}
)rego";

// Writes the rules of one ledger.
class LedgerRules {
 public:
  LedgerRules(std::string& out, const LedgerMask& ledger, size_t number)
      : out_(out), concerns_(fmt::format("_concerns_{}", number)) {
    if (ledger.rules.empty()) return;
    // A rule, because OPA evaluates it once.
    fmt::format_to(std::back_inserter(out_), "\n# --- {}\n{} if _concerns(_roots[{}])\n",
                   ledger.ledger, concerns_, number);
  }

  // Walks down to the value: a number may be the name of a member, or the index of an element.
  Result<void> add(const model::MaskRule& rule) {
    NOTP_ASSIGN(model::MaskPointer pointer, model::MaskPointer::parse(rule.pointer));
    pointer.tokens.emplace(pointer.tokens.begin(), model::mask_part_name(pointer.part));
    std::string reference = "_parts", place, steps;
    for (size_t i = 0; i < pointer.tokens.size(); ++i) {
      const std::string& name = pointer.tokens[i];
      const std::string variable = fmt::format("k{}", i), text = json_string(name);
      const bool is_any = name == "*";
      if (is_any)
        fmt::format_to(std::back_inserter(steps), "\tsome {}, _ in {}\n", variable, reference);
      else if (is_index(name))
        fmt::format_to(std::back_inserter(steps), "\tsome {} in [{}, {}]\n", variable, text, name);
      const bool is_fixed = !is_any && !is_index(name);
      // Places are texts, also for indexes: so json.remove and json.patch read them.
      place += fmt::format("{}{}", i == 0 ? "" : ", ",
                           is_any ? fmt::format("sprintf(\"%v\", [{}])", variable) : text);
      reference += fmt::format("[{}]", is_fixed ? text : variable);
    }
    fmt::format_to(std::back_inserter(out_), "\n{} if {{\n\t{}\n{}\tvalue := {}\n}}\n",
                   head_of(rule, place), concerns_, steps, reference);
    return {};
  }

 private:
  static std::string head_of(const model::MaskRule& rule, std::string_view place) {
    switch (rule.op) {
      case model::MaskOp::kUpsert:
        return fmt::format("_replaced contains [[{}], {}]", place, rule.value);
      case model::MaskOp::kCommit:
        return fmt::format("_committed contains [[{}], value]", place);
      case model::MaskOp::kRemove:
        break;
    }
    return fmt::format("_erased contains [{}]", place);
  }

  static bool is_index(std::string_view name) {
    return name == "0" || (name.size() <= 9 && !name.empty() && name[0] != '0' &&
                           name.find_first_not_of("0123456789") == std::string_view::npos);
  }

  std::string& out_;
  const std::string concerns_;
};

}  // namespace

Result<Bytes> mask_module(std::span<const LedgerMask> ledgers) {
  Bytes out = fmt::format(
      "# Made by notp-client: what this OPA's decision log leaves out, as the agent's records do.\n"
      "package {}\n\nimport rego.v1\n{}",
      kMaskPackage, kFixedPart);
  json::array roots;
  for (const LedgerMask& ledger : ledgers) {
    json::array& all = roots.emplace_back(json::array()).get_array();
    for (const std::string& root : ledger.data_roots)
      all.emplace_back(json::value_from(path_segments(root)));
  }
  // Also without a rule there is this set.
  fmt::format_to(std::back_inserter(out),
                 "\n_roots := {}\n\n_committed contains pair if some pair in []\n",
                 json::serialize(roots));
  for (size_t i = 0; i < ledgers.size(); ++i) {
    LedgerRules rules(out, ledgers[i], i);
    for (const model::MaskRule& rule : ledgers[i].rules) NOTP_TRY(rules.add(rule));
  }
  return out;
}

}  // namespace notp::pdp
