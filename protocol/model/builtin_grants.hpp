// Built-ins with effects outside of a policy, and the ledgers that may use them.
#pragma once

#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::model {

// The grants of a registry's or an agent's configuration. Immutable.
class BuiltinGrants {
 public:
  BuiltinGrants() = default;
  // Reads an array of {"ledgers": [pattern, …], "builtins": [name, …]} that its schema has
  // accepted.
  explicit BuiltinGrants(const json::array& rules);

  // Whether any ledger may reach the network.
  bool reach_network() const;
  // Returns the ledger's built-ins, sorted, each once.
  std::vector<std::string> of(const LedgerId& ledger) const;

 private:
  struct Rule {
    std::vector<std::string> ledgers;
    std::vector<std::string> builtins;
  };
  std::vector<Rule> rules_;
};

}  // namespace notp::model
