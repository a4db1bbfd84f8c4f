#include "tools/notp/top/picture.hpp"

#include <algorithm>
#include <tuple>

#include "common/clock.hpp"

namespace notp::cli {
namespace {

json::value time_or_null(TimeMs time_ms) {
  return time_ms == 0 ? json::value(nullptr) : json::value(utc_time(time_ms));
}

json::object ledger_json(const wire::LedgerStatus& row) {
  return {{"ledger", row.ledger.text()},
          {"version", row.head_version},
          {"published", time_or_null(row.published_ms)},
          {"nodes", row.nodes},
          {"current", row.current},
          {"older", row.older},
          {"rejected", row.rejected},
          {"away", row.away},
          {"slowest_ms", row.slowest_ms}};
}

}  // namespace

std::optional<Rates> rates_between(const wire::RegistryStatus& before,
                                   const wire::RegistryStatus& after) {
  if (before.started_ms != after.started_ms || after.now_ms <= before.now_ms) return std::nullopt;
  const double seconds = static_cast<double>(after.now_ms - before.now_ms) / 1000;
  const auto rate = [&](uint64_t wire::RegistryStatus::* counter) {
    const uint64_t from = before.*counter, to = after.*counter;
    return to < from ? 0 : static_cast<double>(to - from) / seconds;
  };
  return Rates{.publishes = rate(&wire::RegistryStatus::publishes),
               .offers = rate(&wire::RegistryStatus::offers),
               .sent_bytes = rate(&wire::RegistryStatus::sent_bytes),
               .activations = rate(&wire::RegistryStatus::activations),
               .rejections = rate(&wire::RegistryStatus::rejections),
               .records = rate(&wire::RegistryStatus::records)};
}

void sort_ledgers(std::vector<wire::LedgerStatus>& ledgers, LedgerOrder order) {
  using Row = wire::LedgerStatus;
  const auto most_first = [&](auto key) {
    std::ranges::sort(ledgers, [&](const Row& a, const Row& b) {
      const auto key_a = key(a), key_b = key(b);
      return key_a != key_b ? key_a > key_b : a.ledger < b.ledger;
    });
  };
  switch (order) {
    case LedgerOrder::kDeviating:
      return most_first(
          [](const Row& row) { return std::tuple(row.rejected, row.older, row.away); });
    case LedgerOrder::kNodes:
      return most_first([](const Row& row) { return row.nodes; });
    case LedgerOrder::kPublished:
      return most_first([](const Row& row) { return row.published_ms; });
    case LedgerOrder::kName:
      std::ranges::sort(ledgers, {}, &Row::ledger);
  }
}

json::object status_json(const std::string& registry, const wire::RegistryStatus& status) {
  json::array ledgers;
  for (const wire::LedgerStatus& row : status.ledgers) ledgers.push_back(ledger_json(row));
  return {{"registry", registry},
          {"started", utc_time(status.started_ms)},
          {"now", utc_time(status.now_ms)},
          {"sessions", status.sessions},
          {"publishes", status.publishes},
          {"offers", status.offers},
          {"sent_bytes", status.sent_bytes},
          {"activations", status.activations},
          {"rejections", status.rejections},
          {"records", status.records},
          {"lag_ms", status.lag_ms},
          {"nodes", status.nodes},
          {"connected", status.connected},
          {"stale", status.stale},
          {"ledgers", std::move(ledgers)}};
}

}  // namespace notp::cli
