// What a registry and a node need, reckoned from what they have to do and from the costs that were
// measured. No I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/messages/status.hpp"
#include "tools/notp/capacity/coefficients.hpp"

namespace notp::cli {

struct Work {
  double nodes = 10'000;
  double ledgers = 10;
  double ledgers_per_node = 1;
  double model_bytes = 1'000'000;   // of one ledger
  double delta_bytes = 1'000;       // of one release, as pushed
  double publishes_per_hour = 60;   // of all ledgers
  double decisions_per_second = 1;  // of one node
  double record_bytes = 800;        // of one decision, before it is compressed
  double freshness_interval_s = 30;

  // The nodes that a release goes to, if ledgers have equally many.
  double reached() const;
};

// What a registry says of its nodes and of the time since its start. What it cannot tell yet stays
// as it is in `otherwise`: a mean needs a minute and something to count.
Work work_of(const wire::RegistryStatus& status, Work otherwise);

enum class Unit : uint8_t { kCores, kCoreSeconds, kBytes, kBytesPerSecond, kCount };

// What the formulas abbreviate.
inline constexpr std::string_view kReachedFormula =
    "reached = min(nodes, nodes * ledgers_per_node / ledgers)";
inline constexpr std::string_view kSizeFormula = "size = record_bytes / measured_record_bytes";

struct Term {
  std::string_view what;
  std::string_view formula;  // of members of Work and names of coefficients
  double value = 0;
};

struct Need {
  std::string_view name;  // as in JSON
  std::string_view about;
  Unit unit = Unit::kCount;
  std::vector<Term> terms;  // to be added

  double sum() const;
};

std::vector<Need> registry_needs(const Work& work, const Coefficients& costs);
std::vector<Need> node_needs(const Work& work, const Coefficients& costs);

}  // namespace notp::cli
