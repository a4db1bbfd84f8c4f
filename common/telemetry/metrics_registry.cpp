#include "common/telemetry/metrics_registry.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace notp {

void MetricFamilies::counter(const char* name, const char* help, uint64_t value) {
  add(name, help, prometheus::MetricType::Counter).counter.value = static_cast<double>(value);
}

void MetricFamilies::gauge(const char* name, const char* help, uint64_t value) {
  add(name, help, prometheus::MetricType::Gauge).gauge.value = static_cast<double>(value);
}

prometheus::ClientMetric& MetricFamilies::add(const char* name, const char* help,
                                              prometheus::MetricType type) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  family.metric.emplace_back();
  families_.push_back(std::move(family));
  return families_.back().metric.back();
}

std::string MetricsRegistry::text() const {
  MetricFamilies read;
  for (const Source& source : sources_) source(read);
  std::vector<prometheus::MetricFamily> all = read.take();
  std::ranges::move(families_->Collect(), std::back_inserter(all));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace notp
