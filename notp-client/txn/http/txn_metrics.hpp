// What the Transaction Token Service counts.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <string_view>

#include "notp-client/txn/issue/issuer_core.hpp"

namespace notp::txn {

enum class GrantEvent : uint8_t { kMade, kUsed, kRepeated, kPassedOn, kRevoked };

// Thread-safe.
class TxnMetrics {
 public:
  explicit TxnMetrics(prometheus::Registry& registry);

  void issued(SubjectType type);
  void refused(Refusal refusal);
  void took(double seconds) { seconds_.Observe(seconds); }
  void grant(GrantEvent event, size_t count = 1);
  // As of now, before a scrape.
  void set_grants(size_t held) { grants_.Set(static_cast<double>(held)); }
  void set_can_issue(bool can) { can_issue_.Set(can ? 1 : 0); }

 private:
  std::array<prometheus::Counter*, 6> issued_{};  // by SubjectType: looked up once
  prometheus::Family<prometheus::Counter>&refused_, &grant_events_;
  prometheus::Histogram& seconds_;
  prometheus::Gauge &grants_, &can_issue_;
};

}  // namespace notp::txn
