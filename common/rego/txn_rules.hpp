// How a node verifies transaction tokens: txn_module.hpp.
#pragma once

#include <string>

namespace notp::rego {

struct TxnRules {
  std::string keys;       // name: the set is at data.keys.<keys>
  std::string audience;   // the trust domain
  bool has_lane = false;  // of the node: what it revokes is refused
  bool operator==(const TxnRules&) const = default;
};

}  // namespace notp::rego
