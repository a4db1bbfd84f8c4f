// The object `verify` of the section `txn` of the agent's configuration.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/config_section.hpp"
#include "common/rego/txn_rules.hpp"

namespace notp::txn {

struct VerifyConfig {
  rego::TxnRules rules;
  std::vector<std::string> tokens;  // RFC 6901, into an input: where tokens are
};

// nullopt: the node verifies none. `root`: the agent's configuration. kConfig.
Result<std::optional<VerifyConfig>> load_verify(const config::Section& root);

}  // namespace notp::txn
