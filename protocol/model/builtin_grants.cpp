#include "protocol/model/builtin_grants.hpp"

#include <algorithm>
#include <set>

namespace notp::model {

BuiltinGrants::BuiltinGrants(const json::array& rules) {
  for (const json::value& entry : rules)
    rules_.push_back({json::value_to<std::vector<std::string>>(entry.at("ledgers")),
                      json::value_to<std::vector<std::string>>(entry.at("builtins"))});
}

bool BuiltinGrants::reach_network() const {
  return std::ranges::any_of(rules_, [](const Rule& rule) {
    return std::ranges::any_of(rule.builtins, [](const std::string& builtin) {
      return builtin == "http.send" || builtin == "net.lookup_ip_addr";
    });
  });
}

std::vector<std::string> BuiltinGrants::of(const LedgerId& ledger) const {
  std::set<std::string> builtins;
  for (const Rule& rule : rules_)
    if (std::ranges::any_of(rule.ledgers, [&](const std::string& pattern) {
          return ledger_matches(pattern, ledger);
        }))
      builtins.insert(rule.builtins.begin(), rule.builtins.end());
  return {builtins.begin(), builtins.end()};
}

}  // namespace notp::model
