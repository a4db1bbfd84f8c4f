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

void MetricFamilies::counters(const char* name, const char* help,
                              const std::vector<MetricSample>& samples) {
  prometheus::MetricFamily& out = family(name, help, prometheus::MetricType::Counter);
  for (const MetricSample& sample : samples) {
    prometheus::ClientMetric& metric = out.metric.emplace_back();
    for (const auto& [label, value] : sample.labels) metric.label.push_back({label, value});
    metric.counter.value = sample.value;
  }
}

void MetricFamilies::gauges(const char* name, const char* help,
                            const std::vector<MetricSample>& samples) {
  prometheus::MetricFamily& out = family(name, help, prometheus::MetricType::Gauge);
  for (const MetricSample& sample : samples) {
    prometheus::ClientMetric& metric = out.metric.emplace_back();
    for (const auto& [label, value] : sample.labels) metric.label.push_back({label, value});
    metric.gauge.value = sample.value;
  }
}

prometheus::MetricFamily& MetricFamilies::family(const char* name, const char* help,
                                                 prometheus::MetricType type) {
  prometheus::MetricFamily& out = families_.emplace_back();
  out.name = name;
  out.help = help;
  out.type = type;
  return out;
}

prometheus::ClientMetric& MetricFamilies::add(const char* name, const char* help,
                                              prometheus::MetricType type) {
  return family(name, help, type).metric.emplace_back();
}

std::string MetricsRegistry::text() const {
  MetricFamilies read;
  for (const Source& source : sources_) source(read);
  std::vector<prometheus::MetricFamily> all = read.take();
  std::ranges::move(families_->Collect(), std::back_inserter(all));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace notp
