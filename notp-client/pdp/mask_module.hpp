// The policy that makes an OPA leave out of its decision log what a record must not hold.
//
// OPA asks it in place of data.system.log.mask (opa_config.hpp), because OPA's own rules cannot do
// it: a pointer with a name that needs URL escaping ("e mail", "größe", "a;b") never matches; a
// rule that is invalid loses the event; and the rules of a set are applied in the order of their
// text, so that a rule of the model can put back what another one removed. The module applies the
// manifests' rules, and what every record leaves out (credentials, signatures of tokens, keys among
// the arguments of functions), to whole values, then adds what data.system.log.mask says of the
// event, which cannot put back what is removed. When that is invalid, input and result are withheld
// and the event remains. It does the same for data.system.log.drop: the agent counts the event.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "protocol/model/decision_terms.hpp"

namespace notp::pdp {

// The package, and the root that it takes in a bundle.
inline constexpr std::string_view kMaskPackage = "system.notp_log";
inline constexpr std::string_view kMaskRoot = "system/notp_log";
inline constexpr std::string_view kMaskModulePath = "system/notp_log/mask.rego";

// The module's account of its work, a member of the event's nd_builtin_cache:
//   {"upserts": 2, "removes": 0, "erased": ["/input/e mail"], "masked": [], "commitments": [],
//    "outcome": "allow"}
// The first so many pointers of the event's `masked` and `erased` are the module's; the lists say
// what they stand for, as RFC 6901 pointers. A commitment has "pointer", "salt" (16 characters) and
// "hmac" (hexadecimal). "outcome" is that of the result before masking (words of records).
// "failure": data.system.log.mask is invalid. "dropped": data.system.log.drop held.
// No built-in function has this name.
inline constexpr std::string_view kMarkName = "notp.log";

// One ledger. Its rules are for decisions on paths within its roots, on paths above them and on
// those that no ledger owns.
struct LedgerMask {
  std::string ledger;                   // for the comment
  std::vector<std::string> data_roots;  // "a/b"
  std::vector<model::MaskRule> rules;
};

// Returns the module for all ledgers of a node, also those without rules: Rego v1. Equal arguments
// give equal bytes. kMessage: a rule whose pointer is invalid, which no registry accepts.
Result<Bytes> mask_module(std::span<const LedgerMask> ledgers);

}  // namespace notp::pdp
