// Counts a server's events in a Prometheus registry, if given. Thread-safe.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <memory>
#include <string>

#include "common/http/admission.hpp"

namespace notp::http {

enum class Refusal : uint8_t {
  kFull,        // every connection is busy
  kHandshakes,  // too many handshakes of that address
  kTls,         // the handshake failed
};

class Metrics {
 public:
  Metrics(std::shared_ptr<prometheus::Registry> registry, const std::string& prefix,
          const std::string& listener);

  void answered(unsigned status);
  void refused(Refusal why);
  void timed_out(Phase phase);
  void opened();
  void closed();
  void holds(uint64_t bytes);  // in the whole process
  void evicted(uint64_t total);

 private:
  static constexpr size_t kClasses = 5, kRefusals = 3, kPhases = 8;

  const std::shared_ptr<prometheus::Registry> registry_;
  std::array<prometheus::Counter*, kClasses> answered_{};
  std::array<prometheus::Counter*, kRefusals> refused_{};
  std::array<prometheus::Counter*, kPhases> timed_out_{};
  prometheus::Gauge* connections_ = nullptr;
  prometheus::Gauge* held_ = nullptr;
  prometheus::Counter* evicted_ = nullptr;
};

}  // namespace notp::http
