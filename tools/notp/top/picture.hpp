// One look at a registry: what it said, and how fast its counters move.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json/json.hpp"
#include "protocol/wire/messages/status.hpp"

namespace notp::cli {

// Per second, by the registry's clock.
struct Rates {
  double publishes = 0, offers = 0, sent_bytes = 0, activations = 0, rejections = 0, records = 0;
};

// nullopt: the two do not follow each other, because the registry started in between or its clock
// did not advance.
std::optional<Rates> rates_between(const wire::RegistryStatus& before,
                                   const wire::RegistryStatus& after);

// Ties are by ledger, ascending.
enum class LedgerOrder : uint8_t {
  kDeviating,  // most rejected, then most older, then most away first
  kName,
  kNodes,      // most first
  kPublished,  // last published first
};
inline constexpr std::string_view kLedgerOrderNames[] = {"deviating", "name", "nodes", "published"};

void sort_ledgers(std::vector<wire::LedgerStatus>& ledgers, LedgerOrder order);

// The document of `-o json`.
json::object status_json(const std::string& registry, const wire::RegistryStatus& status);

}  // namespace notp::cli
