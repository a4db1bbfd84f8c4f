#include "common/http/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/mutex.hpp"

namespace notp::http {
namespace {

constexpr std::array kRefusalNames = {"full", "handshakes", "tls"};
constexpr std::pair<Phase, const char*> kTimedOut[] = {{Phase::kHandshake, "handshake"},
                                                       {Phase::kIdle, "idle"},
                                                       {Phase::kHeader, "header"},
                                                       {Phase::kBody, "body"},
                                                       {Phase::kWriting, "write"}};

// All listeners count in the same counter.
Mutex eviction_mutex;

}  // namespace

Metrics::Metrics(std::shared_ptr<prometheus::Registry> registry, const std::string& prefix,
                 const std::string& listener)
    : registry_(std::move(registry)) {
  if (!registry_) return;
  const prometheus::Labels own{{"listener", listener}};
  const auto labels = [&](const char* name, const std::string& value) {
    return prometheus::Labels{{"listener", listener}, {name, value}};
  };
  auto& requests = prometheus::BuildCounter()
                       .Name(prefix + "_requests_total")
                       .Help("Requests answered, by class of status.")
                       .Register(*registry_);
  for (size_t i = 0; i < kClasses; ++i)
    answered_[i] = &requests.Add(labels("status", fmt::format("{}xx", i + 1)));
  auto& refused = prometheus::BuildCounter()
                      .Name(prefix + "_connections_refused_total")
                      .Help("Connections refused, by reason.")
                      .Register(*registry_);
  for (size_t i = 0; i < kRefusals; ++i)
    refused_[i] = &refused.Add(labels("reason", kRefusalNames[i]));
  auto& timed_out = prometheus::BuildCounter()
                        .Name(prefix + "_connections_timed_out_total")
                        .Help("Connections closed because the client was too slow, by what it did.")
                        .Register(*registry_);
  for (const auto& [phase, name] : kTimedOut)
    timed_out_[std::to_underlying(phase)] = &timed_out.Add(labels("phase", name));
  connections_ = &prometheus::BuildGauge()
                      .Name(prefix + "_connections")
                      .Help("Connections open.")
                      .Register(*registry_)
                      .Add(own);
  held_ =
      &prometheus::BuildGauge()
           .Name(prefix + "_held_bytes")
           .Help("Bytes of large request bodies and answers, over all listeners that share them.")
           .Register(*registry_)
           .Add({});
  evicted_ = &prometheus::BuildCounter()
                  .Name(prefix + "_connections_evicted_total")
                  .Help("Connections closed for others, over all listeners.")
                  .Register(*registry_)
                  .Add({});
}

void Metrics::answered(unsigned status) {
  constexpr unsigned kHundred = 100;
  const size_t index = status / kHundred - 1;
  if (registry_ && index < kClasses) answered_[index]->Increment();
}

void Metrics::refused(Refusal why) {
  if (registry_) refused_[std::to_underlying(why)]->Increment();
}

void Metrics::timed_out(Phase phase) {
  auto* counter = timed_out_[std::to_underlying(phase)];
  if (counter != nullptr) counter->Increment();
}

void Metrics::opened() {
  if (registry_) connections_->Increment();
}

void Metrics::closed() {
  if (registry_) connections_->Decrement();
}

void Metrics::holds(uint64_t bytes) {
  if (registry_) held_->Set(static_cast<double>(bytes));
}

void Metrics::evicted(uint64_t total) {
  if (!registry_) return;
  const MutexLock lock(eviction_mutex);
  evicted_->Increment(std::max(0.0, static_cast<double>(total) - evicted_->Value()));
}

}  // namespace notp::http
