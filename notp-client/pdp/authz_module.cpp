#include "notp-client/pdp/authz_module.hpp"

#include <fmt/format.h>

#include "common/crypto/digest.hpp"

namespace notp::pdp {
namespace {

// OPA splits the path at '/', decodes each part and leaves out empty ones when it looks a document
// up: what is empty, or still has an escape, is refused.
constexpr std::string_view kRules = R"rego(
allow if {{
	_is_agent
	input.method in {{"GET", "PUT", "PATCH"}}
	array.slice(input.path, 0, 3) == ["v1", "data", "tokens"]
}}

allow if {{
	input.method in {{"GET", "POST"}}
	input.path[0] in {{"v0", "v1"}}
	input.path[1] == "data"
	count(input.path) > 2
	every part in input.path {{
		part != ""
		not contains(part, "%")
		not contains(part, "/")
	}}
	input.path[2] != "tokens"
}}

allow if {{
	input.method == "POST"
	input.path == [""]
}}

allow if {{
	input.method == "GET"
	input.path[0] == "health"
}}

allow if {{
	input.method == "GET"
	input.path in [["metrics"], ["v1", "status"]]
}}

_is_agent if crypto.sha256(input.identity) == "{}"
)rego";

}  // namespace

std::string opa_tokens_secret(std::string_view opa_secret) {
  return sha256(fmt::format("notp data.tokens\n{}", opa_secret)).hex();
}

Bytes authz_module(std::string_view tokens_secret) {
  return fmt::format(
             "# Made by notp-client: who may ask this OPA, and who may write its tokens.\n"
             "package system.authz\n\nimport rego.v1\n\ndefault allow := false\n") +
         fmt::format(kRules, sha256(tokens_secret).hex());
}

}  // namespace notp::pdp
