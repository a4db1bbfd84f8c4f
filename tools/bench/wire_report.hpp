// The result of the wire suite for people and for machines.
#pragma once

#include <optional>

#include "common/json.hpp"
#include "tools/bench/wire_suite.hpp"

namespace notp::bench {

// What the caller knows of the history: copied into the report, not used.
struct WireLabels {
  std::optional<uint64_t> seed;
  std::optional<double> scale;
};

std::string wire_table(const WireResult& result);
json::object wire_json(const WireResult& result, const WireLabels& labels);

}  // namespace notp::bench
