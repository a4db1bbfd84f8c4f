// What tests of a Txn-Token Service send, as forms and as JSON objects.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "common/json/json.hpp"
#include "common/percent.hpp"

namespace notp {

// Parameters in their order; one may be there twice.
using TokenRequest = std::vector<std::pair<std::string, std::string>>;

inline std::string form_of(const TokenRequest& request) {
  std::string out;
  for (const auto& [name, value] : request)
    out +=
        fmt::format("{}{}={}", out.empty() ? "" : "&", percent_encode(name), percent_encode(value));
  return out;
}

// Members that are null are removed.
inline json::object changed(json::object members, const json::object& change) {
  for (const json::key_value_pair& member : change)
    if (member.value().is_null())
      members.erase(member.key());
    else
      members[member.key()] = member.value();
  return members;
}

}  // namespace notp
